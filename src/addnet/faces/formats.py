"""Which files are images and which are videos: by suffix, and by their first bytes if the suffix is unknown.

The formats in `IMAGE_FORMATS` are supported. An image is decoded by its first bytes alone, so that a file of another
kind under the name of an image reaches no unintended decoder.
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
HEAD = 400  # bytes that identify a format; the packets of MPEG transport streams are 188 or 192 long


class ImageFormat(NamedTuple):
    """A supported image format.

    Attributes:
        name: Its name, as people and Pillow call it.
        suffixes: Its usual suffixes, in lower case.
        pattern: Matches the first bytes of its files.
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
    ImageFormat("GIF", (), _starting(rb"GIF8[79]a")),  # a video by suffix, possibly with a single frame
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
# Unsupported formats that people often try to read, named in messages.
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
# Suffixes of files that often accompany images in large numbers and have no signature: they aren't opened.
_NOT_OPENED = (".npy", ".npz", ".pkl", ".json", ".jsonl", ".txt", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".md")


def image_format(head: bytes | memoryview) -> str | None:
    """Name of the supported image format that the first bytes match; None if they match none.

    Example:
        >>> image_format(b"GIF89a"), image_format(b"%!PS-Adobe-3.0 EPSF-3.0")
        ('GIF', None)
    """
    return next((kind.name for kind in IMAGE_FORMATS if kind.pattern.match(head)), None)


def other_format(head: bytes | memoryview) -> str | None:
    """Name of a well-known unsupported format that the first bytes match; None if they match none.

    Example:
        >>> other_format(b"%!PS-Adobe-3.0 EPSF-3.0")
        'PostScript'
    """
    return next((name for name, pattern in _OTHERS.items() if pattern.match(head)), None)


def what_else(head: bytes | memoryview) -> str:
    """The end of a message about a file that is not an image: the format that its first bytes match, or nothing.

    Example:
        >>> what_else(b"%PDF-1.7"), what_else(b"???")
        (': its first bytes are those of PDF, which is not supported', '')
    """
    other = other_format(head)
    return f": its first bytes are those of {other}, which is not supported" if other else ""


def kind_of(path: str | PurePath) -> str | None:
    """Whether to read a file as `image` or `video`, by its suffix, otherwise by its first bytes; None: neither.

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
    """Whether the first bytes are those of an `image` or a `video`; None: neither."""
    found = image_format(head)
    if found and found != "GIF":
        return IMAGE
    return VIDEO if found or (not other_format(head) and _VIDEOS.match(head)) else None


def head_of(path: str | PurePath) -> bytes:
    """The first bytes of a file; empty if it can't be read or is not a regular file."""
    with suppress(OSError, UserError):
        descriptor = descriptor_of(path)
        try:
            return os.read(descriptor, HEAD)
        finally:
            os.close(descriptor)
    return b""
