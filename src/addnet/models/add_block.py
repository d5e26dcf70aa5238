"""The attention block of ADDNet: feature maps weighted by a facial attention mask."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import require_choice

COMBINES = ("multiply", "residual", "mix")


def pool_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages a mask down to the height and width of a feature map.

    Args:
        mask: (B, 1, H, W) in [0, 1].
        size: Height and width (h, w) wanted. They need not divide H and W.

    Returns:
        (B, 1, h, w) in [0, 1]; `mask` itself if it has that size already.
    """
    if tuple(mask.shape[-2:]) == tuple(size):
        return mask
    return functional.adaptive_avg_pool2d(mask, size)


class ADDBlock(nn.Module):
    """Weights feature maps by a facial attention mask (Zi et al. 2020, section 4).

    The mask is average-pooled to the size of the feature map, so that one full-size mask serves every depth.

    Shapes:
        features: (B, C, h, w), any float dtype.
        mask: (B, 1, H, W) in [0, 1]. Ones leave the features unchanged, except with `residual`.
        returns: (B, C, h, w), dtype of `features`.

    Args:
        combine: `multiply`: x·m, the paper's. `residual`: x·(1+m), which keeps what lies outside the face.
            `mix`: x·(a·m + 1−a) with a learnable scalar `amount` a, which starts at 1, as `multiply`.

    Raises:
        UserError: `combine` is not one of these.

    Example:
        >>> import torch
        >>> features, mask = torch.ones(1, 8, 5, 5), torch.full((1, 1, 20, 20), 0.25)
        >>> ADDBlock()(features, mask).mean().item()
        0.25
    """

    def __init__(self, combine: str = "multiply") -> None:
        super().__init__()
        self.combine = require_choice("combine", combine, COMBINES)
        self.amount = nn.Parameter(torch.ones(())) if combine == "mix" else None

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Returns the weighted features."""
        weight = pool_mask(mask, (features.shape[-2], features.shape[-1]))
        if self.combine == "residual":
            weight = 1 + weight
        elif self.amount is not None:
            weight = self.amount * weight + (1 - self.amount)
        return features * weight.to(features.dtype)

    def extra_repr(self) -> str:
        """Returns what `print(block)` shows."""
        return f"combine={self.combine!r}"
