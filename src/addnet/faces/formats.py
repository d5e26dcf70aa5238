"""Which files are images and which are videos: by suffix, and by their first bytes where no suffix tells.

The formats in `IMAGE_FORMATS` are promised. What an image is decoded as is told by its first bytes alone, so that a
file of another kind under the name of an image reaches no decoder that was not meant.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import PurePath
from typing import NamedTuple

from addnet.errors import UserError
from addnet.untrusted.files import descriptor_of

IMAGE, VIDEO = "image", "video"
HEAD = 400  # bytes that tell a format; the packets of MPEG transport streams are 188 or 192 long


class ImageFormat(NamedTuple):
    """A promised format of images.

    Attributes:
        name: As people and Pillow call it.
        suffixes: Usual ones, in lower case.
        pattern: What its first bytes match.
    """

    name: str
    suffixes: tuple[str, ...]
    pattern: re.Pattern[bytes]


def _starting(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


IMAGE_FORMATS = (
    ImageFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), _starting(rb"\xff\xd8\xff")),
    ImageFormat("PNG", (".png", ".apng"), _starting(rb"\x89PNG\r\n\x1a\n")),
    ImageFormat("BMP", (".bmp",), _starting(rb"BM.{12}[\x0c-\xff]\x00\x00\x00")),
    ImageFormat("WEBP", (".webp",), _starting(rb"RIFF.{4}WEBP")),
    ImageFormat("TIFF", (".tif", ".tiff"), _starting(rb"II[*+]\x00|MM\x00[*+]")),
    ImageFormat("PPM", (".ppm", ".pgm", ".pbm", ".pnm"), _starting(rb"P[1-6][\s#]")),
    ImageFormat("GIF", (), _starting(rb"GIF8[79]a")),  # by suffix a video, which may have one frame
    ImageFormat("AVIF", (".avif",), _starting(rb".{4}ftyp(avif|avis|(mif1|miaf).{0,40}?avif)")),
    ImageFormat("JPEG2000", (".jp2", ".j2k"), _starting(rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")),
)
IMAGE_SUFFIXES = tuple(suffix for kind in IMAGE_FORMATS for suffix in kind.suffixes)
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".f4v", ".avi", ".divx", ".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".m2v"),
    *(".vob", ".ts", ".mts", ".m2ts", ".wmv", ".asf", ".flv", ".ogv", ".3gp", ".3g2", ".mxf", ".dv"),
    *(".h264", ".264", ".hevc", ".h265", ".265", ".gif"),
)
_VIDEOS = _starting(
    rb".{4}(ftyp|moov|mdat|wide|free|skip)|RIFF.{4}AVI |\x1a\x45\xdf\xa3|FLV\x01|\x00\x00\x01[\xba\xb3]"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11|OggS|\x06\x0e\x2b\x34|\x1f\x07\x00"
    rb"|\x00{2,3}\x01(\x67|\x27|\x40\x01|\x09)|(.{4})?\x47.{187}(.{4})?\x47"
)
# What a file that can't be read really is, where people often have such files.
_OTHERS = {
    "HEIC": _starting(rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)"),
    "PostScript": _starting(rb"%!PS|\xc5\xd0\xd3\xc6"),
    "PDF": _starting(rb"%PDF"),
    "Photoshop": _starting(rb"8BPS"),
    "JPEG XL": _starting(rb"\xff\x0a|\x00\x00\x00\x0cJXL "),
    "SVG or HTML": re.compile(rb"\s*<(\?xml|svg|!doctype|html)", re.IGNORECASE),
    "Git LFS pointer": _starting(rb"version https://git-lfs"),
    "ZIP": _starting(rb"PK\x03\x04"),
}
# What tells nothing by its first bytes and lies beside images in great numbers isn't opened.
_NOT_OPENED = (".npy", ".npz", ".pkl", ".json", ".jsonl", ".txt", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".md")


def image_format(head: bytes | memoryview) -> str | None:
    """Name of the promised format that an image has by its first bytes; None if it is none.

    Example:
        >>> image_format(b"GIF89a"), image_format(b"%!PS-Adobe-3.0 EPSF-3.0")
        ('GIF', None)
    """
    return next((kind.name for kind in IMAGE_FORMATS if kind.pattern.match(head)), None)


def other_format(head: bytes | memoryview) -> str | None:
    """Name of a format that is not read here, by its first bytes; None if it is not known.

    Example:
        >>> other_format(b"%!PS-Adobe-3.0 EPSF-3.0")
        'PostScript'
    """
    return next((name for name, pattern in _OTHERS.items() if pattern.match(head)), None)


def what_else(head: bytes | memoryview) -> str:
    """The rest of a sentence about what is no image: what its first bytes say that it is, or nothing.

    Example:
        >>> what_else(b"%PDF-1.7"), what_else(b"???")
        (': PDF by its first bytes, which is not read here', '')
    """
    other = other_format(head)
    return f": {other} by its first bytes, which is not read here" if other else ""


def kind_of(path: str | PurePath) -> str | None:
    """Whether a file is to be read as `image` or `video`: by its suffix, else by its first bytes; None: neither.

    Example:
        >>> kind_of("clip.MOV"), kind_of("scan.tif"), kind_of(__file__)
        ('video', 'image', None)
    """
    name = str(path).lower()
    if name.endswith(IMAGE_SUFFIXES):
        return IMAGE
    if name.endswith(VIDEO_SUFFIXES):
        return VIDEO
    return None if name.endswith(_NOT_OPENED) else kind_by_content(head_of(path))


def kind_by_content(head: bytes) -> str | None:
    """Whether first bytes are those of a `image` or a `video`; None: neither."""
    found = image_format(head)
    if found and found != "GIF":
        return IMAGE
    return VIDEO if found or (not other_format(head) and _VIDEOS.match(head)) else None


def head_of(path: str | PurePath) -> bytes:
    """The first bytes of a file; none if it can't be read or is no regular file."""
    with suppress(OSError, UserError):
        descriptor = descriptor_of(path)
        try:
            return os.read(descriptor, HEAD)
        finally:
            os.close(descriptor)
    return b""
