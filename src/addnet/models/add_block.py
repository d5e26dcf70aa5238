"""The attention block of ADDNet: features weighted by a facial attention mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError, require_choice
from addnet.models.stages import CHANNELS_LAST, MAPS, TOKENS, grid_of

COMBINES = ("multiply", "residual", "mix", "gate")
FORMS = (MAPS, CHANNELS_LAST, TOKENS)


def pool_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages a mask down to the height and width of a feature map.

    Args:
        mask: (B, 1, H, W) in [0, 1].
        size: Height and width (h, w) of the result. They need not divide H and W.

    Returns:
        (B, 1, h, w) in [0, 1]; `mask` itself if it already has that size.
    """
    if tuple(mask.shape[-2:]) == tuple(size):
        return mask
    return functional.adaptive_avg_pool2d(mask, size)


class ADDBlock(nn.Module):
    """Weights features by a facial attention mask (Zi et al. 2020, section 4).

    The mask is average-pooled to the grid of the features, so that one full-size mask serves every depth.

    Shapes:
        features: (B, C, h, w), (B, h, w, C) or (B, N, C) according to `form`, any float dtype.
        mask: (B, 1, H, W) in [0, 1]. Ones leave the features unchanged, except with `residual`.
        returns: Shape and dtype of `features`.

    Args:
        combine: `multiply`: x·m, as in the paper. `residual`: x·(1+m), which keeps features outside the face. `mix`:
            x·(a·m + 1−a) with a learnable scalar `amount` a, which starts at 1, equal to `multiply`. `gate`:
            x·(1 + a·(m−1)) with a learnable `amount` a for each channel, which starts at 0: features unchanged.
        channels: C, required by `gate`.
        form: `maps`, `channels_last` or `tokens`.
        prefix: Number of tokens before the patch tokens (class token, registers); they are left unchanged.

    Raises:
        UserError: An option lies outside these values.

    Example:
        >>> import torch
        >>> features, mask = torch.ones(1, 8, 5, 5), torch.full((1, 1, 20, 20), 0.25)
        >>> ADDBlock()(features, mask).mean().item()
        0.25
        >>> ADDBlock(form="tokens", prefix=1)(torch.ones(1, 26, 8), mask)[0, :, 0].unique(return_counts=True)[1]
        tensor([25,  1])
    """

    def __init__(
        self, combine: str = "multiply", *, channels: int | None = None, form: str = MAPS, prefix: int = 0
    ) -> None:
        super().__init__()
        self.combine = require_choice("combine", combine, COMBINES)
        self.form = require_choice("form", form, FORMS)
        self.prefix = prefix
        if combine == "gate" and not channels:
            raise UserError(f"{combine!r} has an amount for each channel; give their number, not {channels!r}.")
        start = {"mix": torch.ones(()), "gate": torch.zeros(channels or 0)}.get(combine)
        self.amount = None if start is None else nn.Parameter(start)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Returns the weighted features."""
        if self.form == MAPS:
            weight = pool_mask(mask, (features.shape[-2], features.shape[-1]))
            return features * self._combined(weight, (-1, 1, 1)).to(features.dtype)
        if self.form == CHANNELS_LAST:
            weight = pool_mask(mask, (features.shape[1], features.shape[2])).permute(0, 2, 3, 1)
            return features * self._combined(weight, (-1,)).to(features.dtype)
        before, patches = features[:, : self.prefix], features[:, self.prefix :]
        weight = pool_mask(mask, grid_of(patches.shape[1], mask)).flatten(2).transpose(1, 2)
        patches = patches * self._combined(weight, (-1,)).to(features.dtype)
        return torch.cat([before, patches], dim=1) if self.prefix else patches

    def _combined(self, weight: Tensor, channels: tuple[int, ...]) -> Tensor:
        """The factor on the features for a pooled mask; `channels` is the shape to broadcast one value per channel."""
        if self.combine == "residual":
            return 1 + weight
        if self.amount is None:
            return weight
        if self.combine == "mix":
            return self.amount * weight + (1 - self.amount)
        return 1 + self.amount.view(channels) * (weight - 1)

    def extra_repr(self) -> str:
        """Returns what `print(block)` shows."""
        form = "" if self.form == MAPS else f", form={self.form!r}, prefix={self.prefix}"
        return f"combine={self.combine!r}{form}"
