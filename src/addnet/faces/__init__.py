"""Pictures → faces: landmarks, geometry and attention masks. NumPy, OpenCV and dlib; no torch."""

from addnet.faces.geometry import Geometry, Jitter, map_points, warp_picture
from addnet.faces.landmarks import STEPS, Face, LandmarkDetector
from addnet.faces.masks import Attention, AttentionMask
from addnet.faces.pictures import (
    PICTURE_SUFFIXES,
    check_bytes,
    check_picture,
    decode_picture,
    iter_pictures,
    read_picture,
)

__all__ = [
    "PICTURE_SUFFIXES",
    "STEPS",
    "Attention",
    "AttentionMask",
    "Face",
    "Geometry",
    "Jitter",
    "LandmarkDetector",
    "check_bytes",
    "check_picture",
    "decode_picture",
    "iter_pictures",
    "map_points",
    "read_picture",
    "warp_picture",
]
