"""Start weights of a backbone: those that timm publishes, or a local file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from addnet.errors import UserError
from addnet.models.lora import folded
from addnet.models.published import WAYS_OUT, published_weights
from addnet.models.state_dicts import by_part, fitted
from addnet.models.weight_files import read_weights

log = logging.getLogger(__name__)


def load_backbone_weights(
    backbone: nn.Module,
    weights: str | Path | None = None,
    *,
    pretrained: bool = False,
    name: str = "",
    options: Mapping[str, Any] | None = None,
) -> None:
    """Loads start weights into a backbone; does nothing if neither `weights` nor `pretrained` is given.

    Every key of the backbone must be present: a network is never left partly random. Other tensors in the file are
    skipped and named in the log: classifiers, layers added by others, the other parts of this package's own networks
    (head, blend amounts, sigmas), so that weights can be exchanged between variants. Low-rank updates are merged. See
    `addnet.models.state_dicts` for how the backbone is found in the file.

    Args:
        backbone: A network of timm without a classifier. Unchanged if an error is raised.
        weights: Local file. Takes precedence over `pretrained`, since it is the alternative on machines that are
            offline.
        pretrained: Load the weights that timm publishes: see `addnet.models.published`.
        name: Name of the backbone in timm, with the tag of the weights unless timm's default is wanted; empty: the
            backbone's own name.
        options: Arguments that the backbone was built with and that the shapes of its weights depend on.

    Raises:
        UserError: The weights can't be fetched; or the file is missing, damaged, would run code or does not fit.
    """
    if weights is None and not pretrained:
        return
    config = getattr(backbone, "pretrained_cfg", {}) or {}
    name = name or config.get("architecture") or type(backbone).__name__
    if weights is not None:
        state, source = folded(read_weights(weights)), str(weights)
    else:
        state, source = published_weights(name, options)
    try:
        found = fitted(state, backbone.state_dict(), stems=_stems(config), grid=_grid(backbone))
    except UserError as error:
        raise UserError(f"{source} does not fit {name}: {error}; {WAYS_OUT}.") from None
    backbone.load_state_dict(found.state)
    rest = f"; skipped, as not part of the backbone: {by_part(found.left_out)}" if found.left_out else ""
    log.info("backbone starts from %s%s", source, rest)


def _stems(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the weights that are applied to the channels of the image."""
    first = config.get("first_conv") or ()
    return tuple(f"{layer}.weight" for layer in ([first] if isinstance(first, str) else first))


def _grid(backbone: nn.Module) -> tuple[int, int] | None:
    """Height and width of the grid of patches, for a network built for a fixed image size; otherwise None."""
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid else None
