"""Writes checkpoints of the trained part alone, and checks whether that is possible."""

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
    """Inside the context, checkpoints hold the trained part alone if `alone`, with the optimiser if `to_resume`."""
    module = cast("DeepfakeDetector", trainer.lightning_module)
    module.trained_only, module.to_resume = alone, to_resume
    try:
        yield
    finally:
        module.trained_only, module.to_resume = False, True


def check_trained_only(option: str, module: DeepfakeDetector, precision: str) -> None:
    """Checks that a checkpoint can leave out the weights that aren't trained.

    Args:
        option: The option that requires it, such as `callbacks.best.trained_only`.
        module: The module that is saved.
        precision: Precision of the Trainer.

    Raises:
        UserError: Everything is trained, the start weights can't be obtained again, or training rounds them.
    """
    if not module.still:
        raise UserError(
            f"{option}=true would leave nothing out, since all weights are trained; train a part with model.tune=norm, "
            f"head, bias, last:K or lora:R, or use {option}=false"
        )
    if module.start is None:
        raise UserError(
            f"{option}=true needs start weights that can be loaded again, and random ones can't; start from "
            f"model.pretrained=true or model.weights=PATH, or use {option}=false"
        )
    if precision not in _PRECISIONS:
        raise UserError(
            f"{option}=true compares start weights bit for bit, and trainer.precision={precision} rounds them; use "
            f"trainer.precision=bf16-mixed, or {option}=false"
        )
