"""Checkpoint files: the entry that describes them, atomic writing, and reading files that may be damaged or hostile."""

from __future__ import annotations

import os
import pickle
import reprlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from addnet import __version__
from addnet.checkpoints.entries import check_checkpoint
from addnet.errors import UserError, shortened
from addnet.untrusted.tensors import load_torch
from addnet.untrusted.texts import shown

FORMAT = 1


def write_checkpoint(checkpoint: Mapping[str, Any], path: str | Path, *, then: str) -> None:
    """Writes a checkpoint completely or not at all: a kill leaves the previous file intact.

    Args:
        checkpoint: Tensors and plain values.
        path: The file.
        then: What to do after freeing space on a full disk, for the message.

    Raises:
        UserError: It could not be written.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")  # a kill may leave it behind; the next write replaces it
    try:
        with part.open("wb") as stream:
            torch.save(checkpoint, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except (OSError, RuntimeError) as error:  # on a full disk torch raises RuntimeError about a file position
        free = shutil.disk_usage(file.parent).free / 2**20
        raise UserError(
            f"{file} could not be written ({_first_line(error)}); {free:,.0f} MiB are free there. "
            f"{'The previous file is intact' if file.exists() else 'There is no previous file'}; free some space and "
            f"{then}."
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
    """The `addnet` entry of a checkpoint, of plain values only.

    Args:
        class_names: Names of the classes in the order of the labels.
        preprocessing: What was done to images.
        config: The part of the run's config from `kept_config`.
        decision: Decision from `addnet.evaluation.decide`; None before the first validation.
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
    """Reads a checkpoint of this program; only tensors and plain values are ever loaded.

    Args:
        path: The file.
        option: The option that named it, for messages.

    Raises:
        UserError: It is missing or damaged, isn't a checkpoint of this program, has another format, or would run code.
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
        raise UserError(
            f"{file} is not a checkpoint of this program; load a file that only has weights with model.weights=PATH"
        )
    about = checkpoint["addnet"]
    if isinstance(about, Mapping) and about.get("format") != FORMAT:
        raise UserError(
            f"{file} has format {shown(reprlib.repr(about.get('format')), most=40)}; this version reads format {FORMAT}"
        )
    check_checkpoint(checkpoint, path=file)
    return checkpoint


def run_of(path: str | Path) -> Path:
    """The run folder of a checkpoint: the parent of the checkpoint's folder."""
    return Path(path).resolve().parents[1]


def check_fits(state: Mapping[str, Tensor], other: Mapping[str, Tensor], *, path: str | Path) -> None:
    """Checks that the state dict of a checkpoint fits that of a network.

    Raises:
        UserError: They differ in keys or shapes; up to ten of each kind are named.
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
            f"{path} does not fit the configured network:\n" + "\n".join(lines) + "\n"
            "Resume with the model settings it was trained with (config.yaml in its run folder)."
        )


def _there(folder: Path) -> str:
    """A hint that names a checkpoint in the folder, or in its `checkpoints` if it is a run folder."""
    files = [file for place in (folder, folder / "checkpoints") for file in sorted(place.glob("*.ckpt"))]
    if not files:
        return f"{folder} holds no checkpoint" if folder.is_dir() else f"there is no folder {folder} either"
    best = next((file for file in files if file.name == "best.ckpt"), files[0])
    return f"name a file, such as {best}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
