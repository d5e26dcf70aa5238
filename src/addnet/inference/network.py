"""Weights and the name of a network → the network, ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from addnet.errors import UserError
from addnet.models import create_model
from addnet.training.checkpoints import check_fits

_NET = "net."  # before the names of the network's tensors in a checkpoint


def network_of(checkpoint: Mapping[str, Any], path: str | Path) -> nn.Module:
    """The network of a checkpoint, with its weights, in evaluation mode.

    Args:
        checkpoint: From `read_checkpoint`.
        path: Of its file, for messages.

    Raises:
        UserError: It doesn't say which network it is of, or options or weights don't fit.
    """
    state = {key.removeprefix(_NET): value for key, value in checkpoint["state_dict"].items() if key.startswith(_NET)}
    return build_network(model_of(checkpoint, path), state, path=path)


def model_of(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Name and options of a checkpoint's network; it starts from no other weights.

    Raises:
        UserError: They are not there.
    """
    model = (checkpoint.get("hyper_parameters") or {}).get("model")
    if not isinstance(model, Mapping) or "name" not in model:
        raise UserError(f"{path} doesn't say which network it is of; use a checkpoint that addnet.train wrote")
    return dict(model) | {"pretrained": False, "weights": None}


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
    options = dict(model)
    try:
        with torch.device("meta"):
            net = create_model(options.pop("name"), **options)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UserError(f"{path}: its network can't be built: {str(error).splitlines()[0]}") from error
    check_fits(net.state_dict(), state, path=path)
    if broken := [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise UserError(f"{path}: weights that are no numbers in {', '.join(broken[:3])}; use an earlier checkpoint")
    net.load_state_dict(dict(state), assign=True)
    return net.float().eval().requires_grad_(False)
