"""Synthetic portraits and deepfakes made from them: data for demonstrations and tests, without a download."""

from addnet.data.synthetic.generate import generate_dataset
from addnet.data.synthetic.people import Identity, PortraitView, acting_like
from addnet.data.synthetic.portraits import develop, draw_portrait
from addnet.data.synthetic.swaps import blend_mask, swap_face

__all__ = [
    "Identity",
    "PortraitView",
    "acting_like",
    "blend_mask",
    "develop",
    "draw_portrait",
    "generate_dataset",
    "swap_face",
]
