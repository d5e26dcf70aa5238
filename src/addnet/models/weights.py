"""Start weights of the Xception backbone: from ImageNet through timm, or from a local file."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from addnet.errors import UserError

log = logging.getLogger(__name__)

BACKBONE = "legacy_xception"
_WRAPPERS = re.compile(r"^(?:(?:module|net|model|_orig_mod)\.)+")  # DataParallel, Lightning, torch.compile
_OTHER_PARTS = ("fc.", "last_linear.", "head.", "add_blocks.", "bandpass.")
_WAYS_OUT = "give a local file with model.weights=PATH, or start randomly with model.pretrained=false"


def load_backbone_weights(backbone: nn.Module, weights: str | Path | None = None, *, pretrained: bool = False) -> None:
    """Fills an Xception with start weights; does nothing if neither kind is asked for.

    Every key of the backbone must be met: a network is never left partly random. Classifiers in the file are
    not used, nor are the other parts of this package's own networks (head, blend amounts, sigmas), so that
    weights can move between the variants. A stem of another number of input channels gets the file's
    3-channel stem repeated and scaled, so that its response to equal channels stays the same.

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
        path: `.safetensors`, or what `torch.save` wrote: a state dict or a dict that holds one as
            `state_dict`.

    Raises:
        UserError: The file is missing, damaged, wants to run code or holds something else.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"model.weights={path}: there is no such file; give the path of a weight file.")
    state = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not any(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"model.weights={path} holds no weights; expected a (nested) state dict.")
    return dict(state)


def _read_safetensors(file: Path) -> Any:
    try:
        return safetensors.torch.load_file(file)
    except Exception as error:  # the reader is Rust and promises no class of errors
        raise UserError(f"model.weights={file} is damaged ({error}); fetch or save it again.") from error


def _read_torch(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
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
    expected = backbone.state_dict()
    given = _fit(_backbone_keys(state), expected)
    _check(given, expected, source)
    backbone.load_state_dict(given)
    log.info("backbone starts from %s", source)


def _backbone_keys(state: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the state with the backbone's own names, without wrappers' prefixes and other parts."""
    names = {_WRAPPERS.sub("", key): value for key, value in state.items()}
    names = {name.removeprefix("backbone."): value for name, value in names.items()}
    return {name: value for name, value in names.items() if not name.startswith(_OTHER_PARTS)}


def _fit(given: Mapping[str, Any], expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """Brings known variants of the format to the backbone's shapes; everything else is left for the check."""
    fitted = dict(given)
    for name, wanted in expected.items():
        value = fitted.get(name)
        if name.endswith("num_batches_tracked") and value is None:  # files older than torch 0.4.1
            fitted[name] = torch.zeros_like(wanted)
        elif isinstance(value, Tensor) and name.endswith("pointwise.weight") and value.ndim == 2:
            fitted[name] = value[:, :, None, None]  # xception-b5690688.pth, which the field's benchmarks use
        elif isinstance(value, Tensor) and name == "conv1.weight" and value.shape[1:2] == (3,):
            fitted[name] = adapt_input_conv(wanted.shape[1], value)
    return fitted


def _check(given: Mapping[str, Any], expected: Mapping[str, Tensor], source: str) -> None:
    """Compares names and shapes.

    Raises:
        UserError: They differ; every difference is named.
    """
    tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(wanted.shape)}"
        for name, wanted in expected.items()
        if name in tensors and tensors[name].shape != wanted.shape
    ]
    differences = {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": shapes,
    }
    found = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in differences.items() if names)
    if found:
        raise UserError(f"{source} does not fit Xception: {found}; {_WAYS_OUT}.")
