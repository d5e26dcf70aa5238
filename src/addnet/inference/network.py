"""The name of a network and its weights → the network, ready for inference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from addnet.checkpoints.file import check_fits
from addnet.checkpoints.trained_part import NET, complete, is_part, missing, start_of
from addnet.errors import UserError
from addnet.models import create_model
from addnet.models.buffers import fill_buffers
from addnet.models.registry import without_start_weights
from addnet.models.tuning import ALL, merge_tuned
from addnet.untrusted.limits import bytes_in_words
from addnet.untrusted.tensors import MOST


def network_of(checkpoint: Mapping[str, Any], path: str | Path, *, weights: str | Path | None = None) -> nn.Module:
    """Builds the network of a checkpoint in evaluation mode, with its weights; tuned weights are merged.

    Args:
        checkpoint: From `read_checkpoint`.
        path: Path of its file, for messages.
        weights: File of the start weights, for a checkpoint that holds only its trained part; None: timm's weights,
            if training started from those, from the cache or the hub. Paths named in the checkpoint are never read.

    Raises:
        UserError: The checkpoint doesn't name its network, its options or weights don't fit, or the start weights it
            needs are missing or different.
    """
    model = model_of(checkpoint, path) | _tuned(checkpoint)
    if is_part(checkpoint):
        checkpoint = dict(checkpoint)
        net = _started(checkpoint, model, path, weights)
        own = {f"{NET}{name}": value for name, value in net.state_dict().items()}
        start = start_of({"pretrained": weights is None, "weights": weights}, net)
        complete(checkpoint, own, path=path, start=start)
    state = {key.removeprefix(NET): value for key, value in checkpoint["state_dict"].items() if key.startswith(NET)}
    return build_network(model, state, path=path)


def model_of(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Returns name and options of a checkpoint's network after merging tuned weights, without start weights.

    Raises:
        UserError: The checkpoint doesn't name its network.
    """
    model = (checkpoint.get("hyper_parameters") or {}).get("model")
    if not isinstance(model, Mapping) or "name" not in model:
        raise UserError(f"{path} doesn't name its network; use a checkpoint written by `addnet train`")
    return without_start_weights({key: value for key, value in model.items() if key != "tune"})


def build_network(model: Mapping[str, Any], state: Mapping[str, Tensor], *, path: str | Path) -> nn.Module:
    """Builds a network by name and loads weights into it. Only code of registered networks is run.

    It is built on the meta device first, so that absurd options in an untrusted file take no memory.

    Args:
        model: Its `name` in `addnet.models.MODELS`, and its options.
        state: Its weights.
        path: File of both, for messages.

    Returns:
        In evaluation mode, float32, on the CPU, without gradients.

    Raises:
        UserError: The name is unknown, or options or weights don't fit.
    """
    net = _without_memory(model, path)
    check_fits(net.state_dict(), state, path=path)
    if broken := [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise UserError(f"{path}: weights of {', '.join(broken[:3])} aren't finite; use an earlier checkpoint")
    net.load_state_dict(dict(state), assign=True)
    if not fill_buffers(net):
        options = dict(model)
        net = create_model(options.pop("name"), **options)
        net.load_state_dict(dict(state))
    merge_tuned(net.float())
    return net.eval().requires_grad_(False)


def _tuned(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the option `tune` unless it is the default; it decides the names of the weights in the checkpoint."""
    return {"tune": tune} if (tune := checkpoint["hyper_parameters"]["model"].get("tune", ALL)) != ALL else {}


def _without_memory(model: Mapping[str, Any], path: str | Path) -> nn.Module:
    """Builds a network on torch's meta device.

    Raises:
        UserError: The name is unknown, or options don't fit.
    """
    options = dict(model)
    try:
        with torch.device("meta"):
            return create_model(options.pop("name"), **options)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UserError(f"{path}: its network can't be built: {str(error).splitlines()[0]}") from error


def _started(
    checkpoint: Mapping[str, Any], model: Mapping[str, Any], path: str | Path, weights: str | Path | None
) -> nn.Module:
    """Builds the network of a checkpoint with its start weights.

    Raises:
        UserError: The start weights can't be found, or the network is larger than allowed.
    """
    net = _without_memory(model, path)
    size = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    if size > MOST:
        raise UserError(
            f"{path} was not loaded: its network takes {bytes_in_words(size)}, but at most {bytes_in_words(MOST)} are "
            "allowed; use another checkpoint"
        )
    timms = getattr(getattr(net, "description", None), "name", "")
    if weights is None and not (checkpoint["addnet"]["start"].get("pretrained") and timm.is_model(timms)):
        raise UserError(missing(checkpoint, path))
    options = dict(model) | {"pretrained": weights is None, "weights": weights}
    try:
        with torch.random.fork_rng(devices=[]):  # leaves the global random state unchanged
            return create_model(options.pop("name"), **options)
    except UserError as error:
        if weights is not None:
            raise
        raise UserError(f"{missing(checkpoint, path)} ({error})") from error
