"""What a checkpoint says about itself, writing one whole, and reading one that may be damaged or hostile."""

from __future__ import annotations

import logging
import os
import pickle
import reprlib
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from addnet import __version__
from addnet.errors import UserError, shortened
from addnet.late import late
from addnet.training.entries import check_checkpoint
from addnet.training.optim import UNTIMED
from addnet.untrusted.tensors import load_torch
from addnet.untrusted.texts import shown
from addnet.wording import count

log = logging.getLogger(__name__)

FORMAT = 1
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


def write_checkpoint(checkpoint: Mapping[str, Any], path: str | Path, *, then: str) -> None:
    """Writes a checkpoint whole or not at all: a kill leaves what was there before.

    Args:
        checkpoint: Tensors and plain values.
        path: The file.
        then: What to do once there is room, where the disk is full.

    Raises:
        UserError: It could not be written.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")  # what a kill leaves of it is written over next time
    try:
        with part.open("wb") as stream:
            torch.save(checkpoint, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except (OSError, RuntimeError) as error:  # torch's own where the disk is full: it lost its place in the file
        free = shutil.disk_usage(file.parent).free / 2**20
        raise UserError(
            f"{file} could not be written ({_first_line(error)}); {free:,.0f} MiB are free there. "
            f"{'The one before it is whole' if file.exists() else 'There is none before it'}; make room and {then}."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def identity(
    *,
    class_names: list[str],
    preprocessing: dict[str, Any],
    config: dict[str, Any] | None,
    decision: dict[str, Any] | None,
) -> dict[str, Any]:
    """The `addnet` entry of a checkpoint, all plain values.

    Args:
        class_names: In the order of the labels.
        preprocessing: What was done to images.
        config: What `kept_config` keeps of the run's.
        decision: From `addnet.evaluation.decide`; None before the first validation.
    """
    return {
        "format": FORMAT,
        "version": __version__,
        "class_names": class_names,
        "preprocessing": preprocessing,
        "config": config,
        "decision": decision,
    }


def read_checkpoint(path: str | Path, *, option: str = "ckpt_path") -> dict[str, Any]:
    """Reads a checkpoint of this project; only tensors and plain values are ever loaded.

    Args:
        path: The file.
        option: What named it, for messages.

    Raises:
        UserError: It is missing, damaged, not of this project or of another format, or wants to run code.
    """
    file = Path(path)
    if file.is_dir():
        raise UserError(f"{option}={file} is a folder, not a checkpoint; {_there(file)}")
    if not file.is_file():
        raise UserError(f"{option}={file}: no such file; {_there(file.parent)}")
    try:
        checkpoint = load_torch(file)
    except UserError as error:
        raise UserError(f"{file} was not loaded: {error}; use another checkpoint") from error
    except pickle.UnpicklingError as error:
        reason = "it holds more than tensors and plain values, or is damaged"
        raise UserError(f"{file} was not loaded: {reason}; use another checkpoint, such as best.ckpt") from error
    except Exception as error:  # torch raises almost anything on damaged bytes
        raise UserError(f"{file} is damaged ({_first_line(error)}); use another checkpoint") from error
    if not isinstance(checkpoint, dict) or "addnet" not in checkpoint or "state_dict" not in checkpoint:
        raise UserError(f"{file} is no checkpoint of this program; weights alone go to model.weights=PATH")
    about = checkpoint["addnet"]
    if isinstance(about, Mapping) and about.get("format") != FORMAT:
        raise UserError(
            f"{file} has format {shown(reprlib.repr(about.get('format')), most=40)}; this version reads {FORMAT}"
        )
    check_checkpoint(checkpoint, path=file)
    return checkpoint


def run_of(path: str | Path) -> Path:
    """The run folder that a checkpoint lies in, in a folder of its own."""
    return Path(path).resolve().parents[1]


def _there(folder: Path) -> str:
    """What to name instead: a checkpoint that is really in a folder, or in the run folder that it is."""
    found = [file for place in (folder, folder / "checkpoints") for file in sorted(place.glob("*.ckpt"))]
    if not found:
        return f"{folder} holds no checkpoint" if folder.is_dir() else f"there is no folder {folder} either"
    best = next((file for file in found if file.name == "best.ckpt"), found[0])
    return f"name a file, such as {best}"


def check_fits(state: Mapping[str, Tensor], other: Mapping[str, Tensor], *, path: str | Path) -> None:
    """Compares a network's state with a checkpoint's.

    Raises:
        UserError: They differ in keys or shapes; ten of each kind are named.
    """
    differences = {
        "missing in the checkpoint": [key for key in state if key not in other],
        "only in the checkpoint": [key for key in other if key not in state],
        "of another shape": [
            f"{key} {tuple(other[key].shape)} instead of {tuple(state[key].shape)}"
            for key in state
            if key in other and state[key].shape != other[key].shape
        ],
    }
    lines = [f"  {kind}: {shortened(keys)}" for kind, keys in differences.items() if keys]
    if lines:
        raise UserError(
            f"{path} does not fit the network that is configured:\n" + "\n".join(lines) + "\n"
            "Resume with the model settings it was trained with (config.yaml in its run folder)."
        )


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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
