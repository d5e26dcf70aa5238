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
    """Fills a backbone with start weights; does nothing if neither kind is asked for.

    Every key of the backbone must be met: a network is never left partly random. What else the file holds is left
    out and named in the log: classifiers, layers that others have added, the other parts of this package's own
    networks (head, blend amounts, sigmas), so that weights can move between the variants. Low-rank updates are
    merged. How the backbone is found in the file: see `addnet.models.state_dicts`.

    Args:
        backbone: A network of timm without classifier. Left as it was if an error is raised.
        weights: Local file. Takes precedence over `pretrained`, for it is the way out where there is no
            network.
        pretrained: Take the weights that timm publishes: see `addnet.models.published`.
        name: Of the backbone in timm, with the tag of the weights if others than timm's first choice are meant; empty:
            as the backbone calls itself.
        options: Arguments that the backbone was made with and that shapes of its weights depend on.

    Raises:
        UserError: The weights can't be had; the file is missing, damaged, wants to run code or does not fit.
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
    rest = f"; left out, as it is not part of it: {by_part(found.left_out)}" if found.left_out else ""
    log.info("backbone starts from %s%s", source, rest)


def _stems(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the weights that take the channels of the image."""
    first = config.get("first_conv") or ()
    return tuple(f"{layer}.weight" for layer in ([first] if isinstance(first, str) else first))


def _grid(backbone: nn.Module) -> tuple[int, int] | None:
    """Height and width of its grid of patches, of a network that is made for one size of images."""
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid else None
