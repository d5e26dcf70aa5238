"""Images as bytes and masks as drawn → what a network gets: the one way for loaders, devices and detectors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def finish_images(images: Tensor) -> Tensor:
    """(…, S, S, 3) uint8 → (…, 3, S, S) float32 in [-1, 1], laid out in memory as they were: channels last."""
    return images.movedim(-1, -3).to(torch.float32).div_(127.5).sub_(1)


def finish_masks(masks: Tensor, size: int) -> Tensor:
    """(B, 1, s, s) from `AttentionMask.draw_small` → (B, 1, S, S) in [0, 1]: the masks that `draw` gives."""
    if masks.shape[-1] != size:
        masks = functional.interpolate(masks, (size, size), mode="bilinear")
    return masks / masks.amax(dim=(2, 3), keepdim=True)
