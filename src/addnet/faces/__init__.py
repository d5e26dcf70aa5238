"""Pictures and videos → faces: landmarks, geometry and attention masks. NumPy, OpenCV, dlib and PyAV; no torch."""

from addnet.faces.extraction import CropSettings, FaceCrop, VideoSummary, extract_faces, save_crop
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
from addnet.faces.videos import VIDEO_SUFFIXES, Frame, Video, iter_videos

__all__ = [
    "PICTURE_SUFFIXES",
    "STEPS",
    "VIDEO_SUFFIXES",
    "Attention",
    "AttentionMask",
    "CropSettings",
    "Face",
    "FaceCrop",
    "Frame",
    "Geometry",
    "Jitter",
    "LandmarkDetector",
    "Video",
    "VideoSummary",
    "check_bytes",
    "check_picture",
    "decode_picture",
    "extract_faces",
    "iter_pictures",
    "iter_videos",
    "map_points",
    "read_picture",
    "save_crop",
    "warp_picture",
]
