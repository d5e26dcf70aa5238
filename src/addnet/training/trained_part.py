"""When a run writes checkpoints of the trained part alone, and whether it may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from addnet.errors import UserError

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from addnet.training.module import DeepfakeDetector

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@contextmanager
def saving_trained_part(trainer: pl.Trainer, alone: bool, *, to_resume: bool) -> Iterator[None]:
    """While a checkpoint is written: whether it holds the trained part alone, and what resuming needs beside it."""
    module = cast("DeepfakeDetector", trainer.lightning_module)
    module.trained_only, module.to_resume = alone, to_resume
    try:
        yield
    finally:
        module.trained_only, module.to_resume = False, True


def check_trained_only(option: str, module: DeepfakeDetector, precision: str) -> None:
    """Whether a checkpoint can do without what isn't trained.

    Args:
        option: That asks for it, such as `callbacks.best.trained_only`.
        module: Whose checkpoint it is.
        precision: Of the Trainer.

    Raises:
        UserError: Everything is trained, the start weights couldn't be had again, or they are rounded in training.
    """
    if not module.still:
        raise UserError(
            f"{option}=true leaves nothing out where all is trained; train a part with model.tune=norm, head, bias, "
            f"last:K or lora:R, or use {option}=false"
        )
    if module.start is None:
        raise UserError(
            f"{option}=true needs start weights that can be had again, and random ones can't; start from "
            f"model.pretrained=true or model.weights=PATH, or use {option}=false"
        )
    if precision not in _PRECISIONS:
        raise UserError(
            f"{option}=true compares start weights bit for bit, and trainer.precision={precision} rounds them; use "
            f"trainer.precision=bf16-mixed, or {option}=false"
        )
