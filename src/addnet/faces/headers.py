"""What an image file demands of a decoder, read from its header before anything is decoded or memory is allocated.

Decoders trust these numbers. If a file gives several, such as a TIFF with a repeated tag, the largest counts, since
decoders differ in which one they use.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from addnet.errors import UserError


class Header(NamedTuple):
    """The numbers in an image's header.

    Attributes:
        width: Pixels, before any rotation.
        height: Pixels, before any rotation.
        scans: How often each pixel is decoded; more than once in progressive JPEGs.
    """

    width: int
    height: int
    scans: int = 1


_MOST_PARTS = 4096  # segments, entries or blocks before the size; ordinary images have a few dozen
_MOST_CHUNKS = 100_000  # of a PNG: 400 MB in chunks of 4 KB
_MOST_TEXTS = 32  # in a PNG; libpng expands each to up to 8 MB
_PNG = struct.Struct(">4sII")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 … SOF15
_JPEG_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # a stuffed zero, and markers without a length
_JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_JPEG_HEAD = 16 << 20  # bytes before the first scan; Pillow joins segments of EXIF in quadratic time
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_PPM = re.compile(rb"P[1-6](?:\s|#[^\r\n]*[\r\n])+(\d{1,9})\s(?:\s|#[^\r\n]*[\r\n])*(\d{1,9})\s")
_GIF_EXTENSION, _GIF_FRAME = 0x21, 0x2C
_PPM_HEAD = 1 << 16  # bytes; comments are short
_TIFF_SIZES = {256: 0, 257: 1, 322: 2, 323: 3}  # image and tile: width, height
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "B", 8: "H", 9: "I", 16: "Q", 17: "Q"}  # signed types read as unsigned


def header_of(data: bytes, kind: str) -> Header:
    """Reads the header of an image.

    Args:
        data: The content of an image file.
        kind: Its format, as returned by `image_format`: any that OpenCV reads.

    Raises:
        UserError: The file is damaged, has thousands of other parts before its size, or texts that expand to gigabytes.

    Example:
        >>> header_of(b"P6 40 30 255 ", "PPM")
        Header(width=40, height=30, scans=1)
    """
    header = None
    with suppress(struct.error, IndexError):  # truncated
        header = _READERS[kind](data)
    if header is None:
        raise UserError(f"damaged image: not a readable {kind}")
    return header


def _jpeg(data: bytes) -> Header | None:
    place, width, height, components, progressive = 2, 0, 0, 0, False
    for _ in range(_MOST_PARTS):
        if data[place] != 0xFF:  # decoders skip bytes between segments
            place = data.find(b"\xff", place)
            if place < 0:
                return None
        while data[place] == 0xFF:
            place += 1
        marker = data[place]
        if marker in _JPEG_FRAMES:
            tall, wide, components = struct.unpack_from(">HHB", data, place + 4)
            width, height = max(width, wide), max(height, tall)
            progressive = progressive or marker in _JPEG_PROGRESSIVE
        elif marker == _JPEG_SCAN:
            many = progressive or data[place + 3] < components
            return Header(width, height, _scans(data) if many else 1) if components else None
        elif marker == _JPEG_END or place > _JPEG_HEAD:
            return None
        place += 1 if marker in _JPEG_ALONE else 1 + max(2, data[place + 1] << 8 | data[place + 2])
    return None


def _scans(data: bytes) -> int:
    """An upper bound on the scans, embedded thumbnails included; entropy-coded data never contain the marker."""
    content = np.frombuffer(data, dtype=np.uint8)  # twenty times as fast as bytes.count
    return int(np.count_nonzero((content[:-1] == 0xFF) & (content[1:] == _JPEG_SCAN)))


def _png(data: bytes) -> Header | None:
    chunk, width, height = _PNG.unpack_from(data, 12)
    if chunk != b"IHDR":
        return None
    place, texts = 33, 0
    for _ in range(_MOST_CHUNKS):
        kind = data[place + 4 : place + 8]
        if kind in (b"zTXt", b"iTXt") and (texts := texts + 1) > _MOST_TEXTS:
            raise UserError(f"PNG with too many texts that may be compressed; at most {_MOST_TEXTS} are read")
        if len(kind) < 4 or kind == b"IEND":
            return Header(width, height)
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return None


def _bmp(data: bytes) -> Header:
    if data[14] == 12:
        return Header(*struct.unpack_from("<HH", data, 18))
    width, height = struct.unpack_from("<ii", data, 18)
    return Header(abs(width), abs(height))  # a negative height: from top to bottom


def _webp(data: bytes) -> Header | None:
    chunk = data[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header(width & 0x3FFF, height & 0x3FFF)
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if chunk == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return Header(1 + (high_width << 16 | low_width), 1 + (high_height << 16 | low_height))
    return None


def _ppm(data: bytes) -> Header | None:
    found = _PPM.match(data, 0, _PPM_HEAD)
    return Header(int(found[1]), int(found[2])) if found else None


def _gif(data: bytes) -> Header | None:
    """The canvas, extended to the end of the first frame if that lies beyond it, as Pillow does."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place, in_blocks = 13 + _colours(flags), False
    for _ in range(_MOST_PARTS):
        part = data[place]
        if in_blocks:  # sub-blocks of a comment or another extension, each with its length; an empty one ends them
            place, in_blocks = place + 1 + part, part > 0
        elif part == _GIF_EXTENSION:
            place, in_blocks = place + 2, True
        elif part == _GIF_FRAME:
            left, top, wide, tall = struct.unpack_from("<HHHH", data, place + 1)
            return Header(max(width, left + wide), max(height, top + tall))
        else:
            return None
    return None


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff(data: bytes) -> Header | None:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (start,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", data, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}Q" if big else f"{order}H", data, start)
    if count > _MOST_PARTS:
        return None
    sizes = [0, 0, 0, 0]
    for tag, value in _tiff_entries(data, order, start + (8 if big else 2), count, big=big):
        if tag in _TIFF_SIZES:
            sizes[_TIFF_SIZES[tag]] = max(sizes[_TIFF_SIZES[tag]], value)
    image, tile = Header(*sizes[:2]), Header(*sizes[2:])
    if not image.width or not image.height:
        return None
    return max(image, tile, key=lambda header: header.width * header.height)  # a tile is decoded whole


def _tiff_entries(data: bytes, order: str, place: int, count: int, *, big: bool) -> Iterator[tuple[int, int]]:
    """Tags of one directory with their values, for entries that hold a single number."""
    head, step = (struct.Struct(f"{order}HHQ"), 20) if big else (struct.Struct(f"{order}HHI"), 12)
    for number in range(count):
        tag, form, values = head.unpack_from(data, place + number * step)
        if values == 1 and form in _TIFF_NUMBERS:
            yield tag, struct.unpack_from(order + _TIFF_NUMBERS[form], data, place + number * step + head.size)[0]


_READERS: dict[str, Callable[[bytes], Header | None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "BMP": _bmp,
    "WEBP": _webp,
    "TIFF": _tiff,
    "PPM": _ppm,
    "GIF": _gif,
}
