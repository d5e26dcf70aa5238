"""Networks, tensors → logits: pure torch and timm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.models.add_block import ADDBlock, pool_mask
    from addnet.models.bandpass import BandpassLayer
    from addnet.models.network import ADDNet
    from addnet.models.registry import MODELS, create_model
    from addnet.models.stages import Description, Stage
    from addnet.models.weights import load_backbone_weights
    from addnet.models.xception import ADDNet2D_Xception, ADDNet2D_Xception_Bandpass

__all__ = [
    "MODELS",
    "ADDBlock",
    "ADDNet",
    "ADDNet2D_Xception",
    "ADDNet2D_Xception_Bandpass",
    "BandpassLayer",
    "Description",
    "Stage",
    "create_model",
    "load_backbone_weights",
    "pool_mask",
]

# lazy imports, so that the help of `addnet models` doesn't need torch
__getattr__, __dir__ = late(
    __name__,
    {
        "MODELS": "registry",
        "ADDBlock": "add_block",
        "ADDNet": "network",
        "ADDNet2D_Xception": "xception",
        "ADDNet2D_Xception_Bandpass": "xception",
        "BandpassLayer": "bandpass",
        "Description": "stages",
        "Stage": "stages",
        "create_model": "registry",
        "load_backbone_weights": "weights",
        "pool_mask": "add_block",
    },
)
