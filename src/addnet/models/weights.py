"""Start weights of the Xception backbone: from ImageNet through timm, or from a local file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from addnet.errors import UserError
from addnet.models.state_dicts import by_part, fitted, unwrapped
from addnet.untrusted.files import opened
from addnet.untrusted.tensors import load_safetensors, load_torch

log = logging.getLogger(__name__)

BACKBONE = "legacy_xception"
_WAYS_OUT = "give a local file with model.weights=PATH, or start randomly with model.pretrained=false"


def load_backbone_weights(backbone: nn.Module, weights: str | Path | None = None, *, pretrained: bool = False) -> None:
    """Fills an Xception with start weights; does nothing if neither kind is asked for.

    Every key of the backbone must be met: a network is never left partly random. What else the file holds is left
    out and named in the log: classifiers, layers that others have added, the other parts of this package's own
    networks (head, blend amounts, sigmas), so that weights can move between the variants. How the backbone is found
    in the file: see `addnet.models.state_dicts`.

    Args:
        backbone: timm's `legacy_xception` without classifier. Left as it was if an error is raised.
        weights: Local file. Takes precedence over `pretrained`, for it is the way out where there is no
            network.
        pretrained: Fetch timm's ImageNet weights, or take them from torch's cache.

    Raises:
        UserError: The weights can't be fetched; the file is missing, damaged, wants to run code or does not
            fit.
    """
    if weights is not None:
        _load(backbone, read_weights(weights), str(weights))
    elif pretrained:
        _load(backbone, _imagenet_weights(), f"timm's {BACKBONE}")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Reads a state dict; only tensors and plain values are ever loaded.

    Args:
        path: `.safetensors`, or what `torch.save` wrote: a state dict, or a dict that holds one as `state_dict`,
            `model`, `net` or the like.

    Raises:
        UserError: The file is missing, damaged, wants to run code or holds something else.
    """
    file = Path(path).expanduser()
    try:
        _refuse_pointer(file)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"model.weights={path}: there is no such file; give the path of a weight file.") from None
    except OSError as error:
        raise UserError(f"model.weights={path} can't be opened: {error.strerror or error}.") from error
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    try:
        state = unwrapped(content)
    except UserError as error:
        raise UserError(f"model.weights={path} was not loaded: {error}.") from None
    if not state:
        raise UserError(f"model.weights={path} holds no weights; expected a (nested) state dict.")
    return state


def _refuse_pointer(file: Path) -> None:
    with opened(file, most=None) as stream:
        start = stream.read(40)
    if start.startswith(b"version https://git-lfs"):
        raise UserError(
            f"model.weights={file} is only a pointer of Git LFS; fetch the file itself with `git lfs pull`."
        )
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise UserError(f"model.weights={file} is damaged: it is a web page; fetch the file itself.")


def _read_safetensors(file: Path) -> Any:
    try:
        return load_safetensors(file)
    except UserError as error:
        raise UserError(f"model.weights={file} was not loaded: {error}; use another file.") from error
    except Exception as error:  # the reader is Rust and promises no class of errors
        raise UserError(f"model.weights={file} is damaged ({error}); fetch or save it again.") from error


def _read_torch(file: Path) -> Any:
    try:
        return load_torch(file)
    except UserError as error:
        raise UserError(f"model.weights={file} was not loaded: {error}; use another file.") from error
    except Exception as error:  # torch raises almost anything on damaged bytes
        text = str(error)
        if "global" in text.lower() or "TorchScript" in text:
            raise UserError(
                f"model.weights={file} was not loaded: it wants to run Python code, which a file from "
                "elsewhere must not; save the state dict alone, e.g. with torch.save(net.state_dict(), PATH)."
            ) from error
        raise UserError(
            f"model.weights={file} is damaged or no weight file ({type(error).__name__}); fetch it again."
        ) from error


def _imagenet_weights() -> dict[str, Tensor]:
    """Returns timm's weights, complete with the 1000-class `fc`, so that timm itself checks every key."""
    try:
        model = timm.create_model(BACKBONE, pretrained=True)
    except Exception as error:  # urllib, ssl, http.client and the hub's clients share no base class
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"ImageNet weights could not be fetched ({reason}); {_WAYS_OUT}.") from error
    state: dict[str, Tensor] = model.state_dict()
    return state


def _load(backbone: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    try:
        found = fitted(state, backbone.state_dict(), stem="conv1.weight")
    except UserError as error:
        raise UserError(f"{source} does not fit Xception: {error}; {_WAYS_OUT}.") from None
    backbone.load_state_dict(found.state)
    rest = f"; left out, as it is not part of it: {by_part(found.left_out)}" if found.left_out else ""
    log.info("backbone starts from %s%s", source, rest)
