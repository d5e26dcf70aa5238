"""Checks whether training can resume from a checkpoint: compares the settings, and finds out if any epochs are left."""

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

_RESTORED = ("optimizer.", "scheduler.")
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

# values of keys that a config lacks because it is of an earlier version or has another loss
_ABSENT = {
    "loss.gamma": 2.0,
    "loss.label_smoothing": 0.0,
    "loss.uniformity": 0.0,
    "loss.alignment": 0.0,
    "loss.guide": 0.0,
    "model.head": "linear",
    "model.tune": "all",
}

# configs of earlier versions refer to it here
__getattr__, _ = late("addnet.training", {"AtomicCheckpointIO": "checkpoint_io"})


def check_continues(before: Mapping[str, Any], now: Mapping[str, Any], *, path: str | Path) -> None:
    """Compares the config of a run that is resumed with that of the run that wrote the checkpoint.

    Raises:
        UserError: The settings of optimiser or schedule differ: their states come from the checkpoint, learning rates
            included, so that new settings would silently have no effect. Or the length of the training differs, and
            the schedule was made for the earlier one.
    """
    earlier, present = _ABSENT | _flat(before), _ABSENT | _flat(now)
    keys = [key for key in {**earlier, **present} if earlier.get(key) != present.get(key)]
    changes = {key: f"{key} was {earlier.get(key)!r} and is {present.get(key)!r}" for key in keys}
    if "model.tune" in changes:
        raise UserError(
            f"{path} restores the optimiser of the parameters it trained, but {changes['model.tune']}; resume with the "
            f"earlier value, or start a new run from its backbone with model.weights={path} and without ckpt_path."
        )
    anew = f"or start a new run from its backbone with model.weights={path} and without ckpt_path."
    if refused := [change for key, change in changes.items() if key.startswith(_RESTORED)]:
        raise UserError(
            f"{path} restores optimiser and schedule as they were, so these changes would have no effect:\n"
            + "".join(f"  {change}\n" for change in refused)
            + f"Resume with the earlier settings, {anew}"
        )
    if present.get("scheduler.name", "none") not in UNTIMED and (
        longer := [changes[key] for key in _LENGTH if key in changes]
    ):
        raise UserError(
            f"scheduler={present['scheduler.name']} was made for a training of the earlier length, but "
            f"{' and '.join(longer)}; resume with the earlier length, {anew}"
        )
    if others := [
        change for key, change in changes.items() if key.startswith(_DECISIVE) and not key.startswith(_INDIFFERENT)
    ]:
        log.warning("settings differ from those of the run that wrote the checkpoint: %s", "; ".join(others))


def nothing_left(checkpoint: Mapping[str, Any], *, max_epochs: int | None, max_steps: int, path: str | Path) -> str:
    """Returns a message if a checkpoint has all requested epochs or steps; empty if some are left to train.

    Args:
        checkpoint: A checkpoint as `read_checkpoint` returns it.
        max_epochs: `max_epochs` of the Trainer; -1 and None are without limit.
        max_steps: `max_steps` of the Trainer; -1 is without limit.
        path: Path of the checkpoint, for messages.

    Raises:
        UserError: It has more epochs than are requested, which the Trainer rejects.
    """
    epochs, steps = checkpoint.get("resume", {}).get("epoch", 0), checkpoint.get("global_step", 0)
    wanted = -1 if max_epochs is None else max_epochs
    if 0 <= wanted < epochs:
        raise UserError(
            f"{path} has completed {count(epochs, 'epoch')}, more than trainer.max_epochs={wanted}; "
            f"to test it as it is, use train=false {shlex.quote(f'ckpt_path={path}')}"
        )
    if wanted == epochs:
        return f"nothing is left to train: {path} has completed all epochs of trainer.max_epochs={wanted}"
    if 0 <= max_steps <= steps:
        done = count(steps, "step")
        return f"nothing is left to train: {path} has completed {done}, and trainer.max_steps={max_steps}"
    return ""


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
