"""Whether training can go on from a checkpoint: the settings of then and now, and what is left to train."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.late import late
from addnet.training.optim import UNTIMED
from addnet.wording import count

log = logging.getLogger(__name__)

_BROUGHT_BACK = ("optimizer.", "scheduler.")
_LENGTH = ("trainer.max_epochs", "trainer.max_steps")
_DECISIVE = (
    *("seed", "model.", "data.", "loss.", "trainer."),
    *("ema_decay", "average_epochs", "freeze_backbone_epochs", "channels_last"),
)
_INDIFFERENT = (
    *(f"data.{key}" for key in ("data_dir", "index", "index_dir", "faces_dir", "landmark_model")),
    *(f"data.{key}" for key in ("num_workers", "prepare", "verify")),
    *(f"trainer.{key}" for key in ("default_root_dir", "log_every_n_steps", "num_sanity_val_steps", "plugins")),
    *("model.pretrained", "model.weights"),
)

# what keys count as where a config lacks them: one of an earlier version, or of another loss
_ABSENT = {
    "loss.gamma": 2.0,
    "loss.label_smoothing": 0.0,
    "loss.uniformity": 0.0,
    "loss.alignment": 0.0,
    "loss.guide": 0.0,
    "model.head": "linear",
    "model.tune": "all",
}

# configs of earlier versions find it here
__getattr__, _ = late("addnet.training", {"AtomicCheckpointIO": "checkpoint_io"})


def check_continues(before: Mapping[str, Any], now: Mapping[str, Any], *, path: str | Path) -> None:
    """Compares the config of a run that is resumed with that of the run that wrote the checkpoint.

    Raises:
        UserError: Optimiser or schedule are set differently. Their states come from the checkpoint, rates included:
            new settings would quietly have no effect. Or a schedule that was made for so many epochs gets others.
    """
    earlier, present = _ABSENT | _flat(before), _ABSENT | _flat(now)
    keys = [key for key in {**earlier, **present} if earlier.get(key) != present.get(key)]
    changes = {key: f"{key} was {earlier.get(key)!r} and is {present.get(key)!r}" for key in keys}
    if "model.tune" in changes:
        raise UserError(
            f"{path} brings back an optimiser of what it trained, but {changes['model.tune']}; resume with that of "
            f"then, or start anew from its backbone with model.weights={path} and without ckpt_path."
        )
    anew = f"or start anew from its backbone with model.weights={path} and without ckpt_path."
    if refused := [told for key, told in changes.items() if key.startswith(_BROUGHT_BACK)]:
        raise UserError(
            f"{path} brings back optimiser and schedule as they were, so that these would have no effect:\n"
            + "".join(f"  {told}\n" for told in refused)
            + f"Resume with the settings of then, {anew}"
        )
    if present.get("scheduler.name", "none") not in UNTIMED and (
        longer := [changes[key] for key in _LENGTH if key in changes]
    ):
        raise UserError(
            f"scheduler={present['scheduler.name']} leads the rate to its end within the training that it was made "
            f"for, but {' and '.join(longer)}; resume with the length of then, {anew}"
        )
    if others := [
        told for key, told in changes.items() if key.startswith(_DECISIVE) and not key.startswith(_INDIFFERENT)
    ]:
        log.warning("settings differ from those of the run that wrote the checkpoint: %s", "; ".join(others))


def nothing_left(checkpoint: Mapping[str, Any], *, max_epochs: int | None, max_steps: int, path: str | Path) -> str:
    """Says that a checkpoint has all epochs or steps that are asked for; empty where there are some left to train.

    Args:
        checkpoint: As `read_checkpoint` gives it.
        max_epochs: Of the Trainer; -1 and None are without end.
        max_steps: Of the Trainer; -1 is without end.
        path: Of the checkpoint.

    Raises:
        UserError: It has more epochs than are asked for, which the Trainer refuses.
    """
    epochs, steps = checkpoint.get("resume", {}).get("epoch", 0), checkpoint.get("global_step", 0)
    wanted = -1 if max_epochs is None else max_epochs
    if 0 <= wanted < epochs:
        raise UserError(
            f"{path} has done {count(epochs, 'epoch')} and trainer.max_epochs={wanted} asks for fewer; "
            f"to test it as it is, use train=false {shlex.quote(f'ckpt_path={path}')}"
        )
    if wanted == epochs:
        return f"nothing is left to train: {path} has done all epochs of trainer.max_epochs={wanted}"
    if 0 <= max_steps <= steps:
        return f"nothing is left to train: {path} has done {count(steps, 'step')}, and trainer.max_steps={max_steps}"
    return ""


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
