"""A mask as a bias of attention: patches outside the face are attended to less instead of being scaled down."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from addnet.errors import UserError
from addnet.models.add_block import ADDBlock, pool_mask
from addnet.models.spans import parts_of
from addnet.models.stages import TOKENS, Description, Stage, grid_of

ATTEND = "attend"
FLOOR = 1e-3
_TAKES = ("attn_mask", "shared_rel_pos_bias")  # timm's arguments for a bias of attention logits: ViT and EVA; BEiT


class AttendBlock(ADDBlock):
    """Computes a bias of attention logits: log(max(m, 0.001)) for each patch as a key, 0 for other tokens.

    The softmax then weights each patch by its mask. A mask of ones changes nothing, and a constant mask leaves the
    weights of patches relative to each other unchanged. Class and register tokens keep a bias of 0, and the bias is the
    same for all queries.

    Shapes:
        features: (B, N, C) tokens.
        mask: (B, 1, H, W) in [0, 1].
        returns: (B, 1, 1, N), dtype of `features`; to be added to logits (B, heads, N, N).

    Args:
        prefix: Number of tokens before the patch tokens.

    Example:
        >>> import torch
        >>> AttendBlock(prefix=1)(torch.ones(1, 5, 8), torch.tensor([[[[1.0, 0.5], [1.0, 0.0]]]])).flatten()
        tensor([ 0.0000,  0.0000, -0.6931,  0.0000, -6.9078])
    """

    def __init__(self, *, prefix: int = 0) -> None:
        super().__init__(form=TOKENS, prefix=prefix)
        self.combine = ATTEND

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Returns the bias to add to the attention logits."""
        grid = grid_of(features.shape[1] - self.prefix, mask)
        read = pool_mask(mask, grid).flatten(1).clamp(min=FLOOR).log()
        return nn.functional.pad(read, (self.prefix, 0))[:, None, None].to(features.dtype)


def require_attention(
    description: Description, backbone: nn.Module, site: str
) -> tuple[Stage, tuple[tuple[nn.Module, str], ...]]:
    """Returns the stage after a site, and its attention modules, each with the name of its argument for a logit bias.

    Raises:
        UserError: No attention that accepts a bias follows; the message lists the sites where it does.
    """
    names = [stage.name for stage in description.stages]
    found = {name: tuple(_attention(modules)) for name, modules, _ in parts_of(backbone, description.stages)}
    following = {
        before: stage
        for before, stage in zip(names, description.stages[1:], strict=False)
        if stage.form == TOKENS and found[stage.name]
    }
    if site in following:
        return following[site], found[following[site].name]
    if following:
        raise UserError(
            f"'attend' is not possible at the site {site!r} of {description.name}: no attention that accepts a mask "
            f"follows before the next site; choose one of: {', '.join(following)}"
        )
    why = "its attention accepts no mask in timm"
    if not any(stage.form == TOKENS for stage in description.stages):
        why = "its stages output maps, not tokens that its attention reads as a whole"
    raise UserError(
        f"model.combine=attend is not possible on {description.name}: {why}; use model.combine=multiply, or a ViT, "
        "DeiT, BEiT, EVA, CLIP or DINO network"
    )


def _attention(modules: Sequence[nn.Module]) -> Iterator[tuple[nn.Module, str]]:
    """The innermost modules that accept a bias of their logits: enclosing blocks pass it on to them."""
    for module in modules:
        takers = {part: taken for part in module.modules() if (taken := _taken(part))}
        for part, taken in takers.items():
            if not any(inner in takers for inner in part.modules() if inner is not part):
                yield part, taken


def _taken(module: nn.Module) -> str | None:
    parameters = inspect.signature(module.forward).parameters
    return next((name for name in _TAKES if name in parameters), None)
