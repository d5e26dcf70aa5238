"""Weights and the name of a network → the network, ready to be asked."""

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
    """The network of a checkpoint, with its weights, tuned ones merged, in evaluation mode.

    Args:
        checkpoint: From `read_checkpoint`.
        path: Of its file, for messages.
        weights: File of the start weights, for a checkpoint of the trained part alone; None: timm's, where it was
            trained from those, out of the cache or from the hub. No place that the checkpoint names is looked at.

    Raises:
        UserError: It doesn't say which network it is of, or options or weights don't fit, or start weights are needed
            that are not there or are others.
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
    """Name and options of a checkpoint's network once tuned weights are merged; it starts from no other weights.

    Raises:
        UserError: They are not there.
    """
    model = (checkpoint.get("hyper_parameters") or {}).get("model")
    if not isinstance(model, Mapping) or "name" not in model:
        raise UserError(f"{path} doesn't say which network it is of; use a checkpoint that addnet.train wrote")
    return without_start_weights({key: value for key, value in model.items() if key != "tune"})


def build_network(model: Mapping[str, Any], state: Mapping[str, Tensor], *, path: str | Path) -> nn.Module:
    """Builds a network by name, and gives it weights. Nothing is run but what the registry knows.

    It is built without memory first, so that absurd options of a stranger's file cost none.

    Args:
        model: Its `name` in `addnet.models.MODELS`, and its options.
        state: Its weights.
        path: Where both are from, for messages.

    Returns:
        In evaluation mode, float32, on the CPU, without gradients.

    Raises:
        UserError: The name is unknown, or options or weights don't fit.
    """
    net = _without_memory(model, path)
    check_fits(net.state_dict(), state, path=path)
    if broken := [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise UserError(f"{path}: weights that are no numbers in {', '.join(broken[:3])}; use an earlier checkpoint")
    net.load_state_dict(dict(state), assign=True)
    if not fill_buffers(net):
        options = dict(model)
        net = create_model(options.pop("name"), **options)
        net.load_state_dict(dict(state))
    merge_tuned(net.float())
    return net.eval().requires_grad_(False)


def _tuned(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What of a network was tuned, which decides how its entries are called."""
    return {"tune": tune} if (tune := checkpoint["hyper_parameters"]["model"].get("tune", ALL)) != ALL else {}


def _without_memory(model: Mapping[str, Any], path: str | Path) -> nn.Module:
    """A network on torch's meta device.

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
    """The network of a checkpoint as its training began.

    Raises:
        UserError: The start weights are not there, or the network is larger than any checkpoint.
    """
    net = _without_memory(model, path)
    size = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    if size > MOST:
        raise UserError(
            f"{path} was not loaded: its network takes {bytes_in_words(size)}; at most {bytes_in_words(MOST)} are "
            "loaded; use another checkpoint"
        )
    timms = getattr(getattr(net, "description", None), "name", "")
    if weights is None and not (checkpoint["addnet"]["start"].get("pretrained") and timm.is_model(timms)):
        raise UserError(missing(checkpoint, path))
    options = dict(model) | {"pretrained": weights is None, "weights": weights}
    try:
        with torch.random.fork_rng(devices=[]):  # random numbers of the program stay as they are
            return create_model(options.pop("name"), **options)
    except UserError as error:
        if weights is not None:
            raise
        raise UserError(f"{missing(checkpoint, path)} ({error})") from error
