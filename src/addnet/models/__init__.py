"""Networks, tensors → logits: pure torch and timm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.models.add_block import ADDBlock, pool_mask
    from addnet.models.addnet import ADDNet2D_Xception, ADDNet2D_Xception_Bandpass
    from addnet.models.bandpass import BandpassLayer
    from addnet.models.placement import PLACEMENTS, SITES
    from addnet.models.registry import MODELS, create_model
    from addnet.models.weights import load_backbone_weights

__all__ = [
    "MODELS",
    "PLACEMENTS",
    "SITES",
    "ADDBlock",
    "ADDNet2D_Xception",
    "ADDNet2D_Xception_Bandpass",
    "BandpassLayer",
    "create_model",
    "load_backbone_weights",
    "pool_mask",
]

# the help of `python -m addnet.models` needs no torch
__getattr__, __dir__ = late(
    __name__,
    {
        "MODELS": "registry",
        "PLACEMENTS": "placement",
        "SITES": "placement",
        "ADDBlock": "add_block",
        "ADDNet2D_Xception": "addnet",
        "ADDNet2D_Xception_Bandpass": "addnet",
        "BandpassLayer": "bandpass",
        "create_model": "registry",
        "load_backbone_weights": "weights",
        "pool_mask": "add_block",
    },
)
