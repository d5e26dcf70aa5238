"""Networks by name: checkpoints and configs say which one, and nothing is ever imported by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from addnet.models.network import ADDNet
from addnet.models.xception import ADDNet2D_Xception, ADDNet2D_Xception_Bandpass
from addnet.registry import check_options, declared

# with those that other packages register: see addnet.registry
MODELS = declared("network", {"addnet": ADDNet2D_Xception, "bandpass": ADDNet2D_Xception_Bandpass, "timm": ADDNet})
_START = {"pretrained": False, "weights": None}


def create_model(name: str, /, **options: Any) -> nn.Module:
    """Builds a network from its name and plain values.

    Args:
        name: A key of `MODELS`.
        options: Arguments of that network's constructor.

    Raises:
        UserError: The name or an option is unknown; the message lists what there is. Or the constructor
            refused a value.

    Example:
        >>> create_model("bandpass", kernel_size=15).bandpass.kernel_size
        15
    """
    return cast("nn.Module", check_options("network", name, options)(**options))


def without_start_weights(model: Mapping[str, Any]) -> dict[str, Any]:
    """Name and options of a network that is built to be given its weights; networks of others may have none to fetch.

    Example:
        >>> without_start_weights({"name": "addnet", "pretrained": True, "combine": "mix"})
        {'name': 'addnet', 'pretrained': False, 'combine': 'mix'}
    """
    return dict(model) | {key: value for key, value in _START.items() if key in model}
