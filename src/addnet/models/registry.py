"""Networks by name: checkpoints and configs say which one, and nothing is ever imported by path."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from addnet.errors import UserError, require_choice, suggestion
from addnet.models.network import ADDNet
from addnet.models.xception import ADDNet2D_Xception, ADDNet2D_Xception_Bandpass
from addnet.signatures import check_arguments

MODELS: dict[str, type[nn.Module]] = {
    "addnet": ADDNet2D_Xception,
    "bandpass": ADDNet2D_Xception_Bandpass,
    "timm": ADDNet,
}


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
    network = MODELS[require_choice("model.name", name, MODELS)]
    valid = list(inspect.signature(network).parameters)
    for option in options:
        if option not in valid:
            near = suggestion(option, valid)
            raise UserError(f"model.{option} is no option of {name!r}; it takes: {', '.join(valid)}.{near}")
    check_arguments(network, options, prefix="model.")
    return network(**options)
