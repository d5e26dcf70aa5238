"""Pictures and videos → faces: landmarks, geometry and attention masks. NumPy, OpenCV, dlib and PyAV; no torch."""

from addnet.faces.blend import SelfBlend
from addnet.faces.extraction import CropSettings, FaceCrop, VideoSummary, extract_faces, save_crop
from addnet.faces.formats import PICTURE_SUFFIXES, VIDEO_SUFFIXES, kind_of
from addnet.faces.geometry import Geometry, Jitter, map_points, warp_picture
from addnet.faces.landmarks import STEPS, Face, LandmarkDetector
from addnet.faces.masks import Attention, AttentionMask
from addnet.faces.pictures import check_bytes, check_picture, decode_picture, read_picture
from addnet.faces.videos import Frame, Video
from addnet.faces.walk import Found, iter_pictures, iter_videos, walk

__all__ = [
    "PICTURE_SUFFIXES",
    "STEPS",
    "VIDEO_SUFFIXES",
    "Attention",
    "AttentionMask",
    "CropSettings",
    "Face",
    "FaceCrop",
    "Found",
    "Frame",
    "Geometry",
    "Jitter",
    "LandmarkDetector",
    "SelfBlend",
    "Video",
    "VideoSummary",
    "check_bytes",
    "check_picture",
    "decode_picture",
    "extract_faces",
    "iter_pictures",
    "iter_videos",
    "kind_of",
    "map_points",
    "read_picture",
    "save_crop",
    "walk",
    "warp_picture",
]
