"""Weight files as they are commonly published → their state dict; code in them is never executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from addnet.errors import UserError
from addnet.models.state_dicts import unwrapped
from addnet.untrusted.files import opened
from addnet.untrusted.tensors import load_safetensors, load_torch


def read_weights(path: str | Path, *, called: str = "") -> dict[str, Tensor]:
    """Reads a state dict; only tensors and plain values are ever loaded.

    Args:
        path: A `.safetensors` file, or one written by `torch.save`: a state dict, or a dict that holds one as
            `state_dict`, `model`, `net` or the like.
        called: What messages call the file; empty: `model.weights=PATH`.

    Raises:
        UserError: The file is missing, damaged, would run code or holds something else.
    """
    file = Path(path).expanduser()
    called = called or f"model.weights={path}"
    try:
        _refuse_pointer(file, called)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{called}: no such file; give the path of a weight file.") from None
    except OSError as error:
        raise UserError(f"{called} can't be opened: {error.strerror or error}.") from error
    content = _read_safetensors(file, called) if file.suffix == ".safetensors" else _read_torch(file, called)
    about = content.get("addnet") if isinstance(content, Mapping) else None
    if isinstance(about, Mapping) and about.get("start"):
        raise UserError(
            f"{called} holds the trained part alone; export it (addnet export format=safetensors) and give the "
            "resulting model.safetensors."
        )
    try:
        state = unwrapped(content)
    except UserError as error:
        raise UserError(f"{called} was not loaded: {error}.") from None
    if not state:
        raise UserError(f"{called} holds no weights; expected a (nested) state dict.")
    return state


def _refuse_pointer(file: Path, called: str) -> None:
    with opened(file, most=None) as stream:
        start = stream.read(40)
    if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{called} is only a Git LFS pointer; fetch the file itself with `git lfs pull`.")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise UserError(f"{called} is damaged: it is a web page; download the file itself.")


def _read_safetensors(file: Path, called: str) -> Any:
    try:
        return load_safetensors(file)
    except UserError as error:
        raise UserError(f"{called} was not loaded: {error}; use another file.") from error
    except Exception as error:  # the reader is written in Rust and raises errors of any class
        raise UserError(f"{called} is damaged ({error}); download or save it again.") from error


def _read_torch(file: Path, called: str) -> Any:
    try:
        return load_torch(file)
    except UserError as error:
        raise UserError(f"{called} was not loaded: {error}; use another file.") from error
    except Exception as error:  # torch raises almost anything on damaged bytes
        text = str(error)
        if "global" in text.lower() or "TorchScript" in text:
            raise UserError(
                f"{called} was not loaded: loading it would run Python code, which is unsafe; save only the "
                "state dict, e.g. with torch.save(net.state_dict(), PATH)."
            ) from error
        raise UserError(
            f"{called} is damaged or not a weight file ({type(error).__name__}); download it again."
        ) from error
