"""Images and videos → faces: landmarks, geometry and attention masks. NumPy, OpenCV, dlib and PyAV; no torch."""

from addnet.faces.blend import SelfBlend
from addnet.faces.extraction import CropSettings, FaceCrop, VideoSummary, extract_faces, save_crop
from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES, kind_of
from addnet.faces.geometry import Geometry, Jitter, map_landmarks, warp_image
from addnet.faces.images import check_bytes, check_image, decode_image, read_image
from addnet.faces.landmarks import STEPS, Face, Landmarker
from addnet.faces.masks import Attention, AttentionMask
from addnet.faces.videos import Frame, Video
from addnet.faces.walk import FolderContents, iter_images, iter_videos, walk

__all__ = [
    "IMAGE_SUFFIXES",
    "STEPS",
    "VIDEO_SUFFIXES",
    "Attention",
    "AttentionMask",
    "CropSettings",
    "Face",
    "FaceCrop",
    "FolderContents",
    "Frame",
    "Geometry",
    "Jitter",
    "Landmarker",
    "SelfBlend",
    "Video",
    "VideoSummary",
    "check_bytes",
    "check_image",
    "decode_image",
    "extract_faces",
    "iter_images",
    "iter_videos",
    "kind_of",
    "map_landmarks",
    "read_image",
    "save_crop",
    "walk",
    "warp_image",
]
