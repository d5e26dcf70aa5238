"""Networks by name: checkpoints and configs name one, and nothing is imported by path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from addnet.models.network import ADDNet
from addnet.models.xception import ADDNet2D_Xception, ADDNet2D_Xception_Bandpass
from addnet.registry import check_options, declared

# other packages may register more: see addnet.registry
MODELS = declared("network", {"addnet": ADDNet2D_Xception, "bandpass": ADDNet2D_Xception_Bandpass, "timm": ADDNet})
_START = {"pretrained": False, "weights": None}


def create_model(name: str, /, **options: Any) -> nn.Module:
    """Builds a network from its name and plain values.

    Args:
        name: A key of `MODELS`.
        options: Arguments of that network's constructor.

    Raises:
        UserError: The name or an option is unknown, in which case the message lists the known ones, or the constructor
            refused a value.

    Example:
        >>> create_model("bandpass", kernel_size=15).bandpass.kernel_size
        15
    """
    return cast("nn.Module", check_options("network", name, options)(**options))


def without_start_weights(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns name and options of a network without its start weights, for a network whose weights are loaded later.

    Example:
        >>> without_start_weights({"name": "addnet", "pretrained": True, "combine": "mix"})
        {'name': 'addnet', 'pretrained': False, 'combine': 'mix'}
    """
    return dict(model) | {key: value for key, value in _START.items() if key in model}
