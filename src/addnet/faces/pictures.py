"""Picture files → RGB arrays: read fast, or checked strictly before they are relied upon."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from addnet.errors import UserError
from addnet.faces.formats import HEAD, PICTURE_FORMATS, picture_format, what_else
from addnet.faces.native import jpeg_complaints

MIN_SIDE = 16
MAX_PIXELS = 80_000_000  # 240 MB as RGB; larger is a scan or a decompression bomb, never a face crop
MAX_BYTES = 400 << 20  # 80 megapixels without compression, with transparency
_MAX_16_BITS = 0xFFFF
_NAMES = ", ".join(kind.name for kind in PICTURE_FORMATS)
_BY_PILLOW = ("JPEG2000", "AVIF")  # OpenCV writes a warning for each of the former and doesn't turn the latter

Picture = NDArray[np.uint8]
Data = bytes | memoryview


def read_picture(path: str | Path) -> Picture:
    """Reads a picture as it would be shown: `decode_picture` of a file.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UserError: The file can't be opened or is no picture that OpenCV reads.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise UserError(f"cannot open {path}: {error.strerror or error}") from error
    return decode_picture(data.data, path)


def check_picture(path: str | Path) -> Picture:
    """Reads a picture that must be whole and of a sensible size: `check_bytes` of a file.

    Returns:
        (H, W, 3) uint8, RGB, as `read_picture` gives it.

    Raises:
        UserError: Truncated, damaged, empty, smaller than 16 pixels a side or larger than 80 megapixels.
        OSError: The file can't be opened.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as fast as it gets
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise UserError(f"file of {size >> 20} MB; pictures of at most {MAX_BYTES >> 20} MB are read")
        return check_bytes(file.read(), path)


def decode_picture(data: Data, name: str | Path = "the data") -> Picture:
    """Decodes a picture as it would be shown: EXIF rotation applied, 8 bits, three channels.

    Grey is repeated, CMYK and 16 bits are converted, transparency is dropped; of several pictures in a file the first
    is taken. A truncated JPEG may come back partly grey: `check_bytes` finds those.

    Args:
        data: The content of a picture's file. Its first bytes tell the format (see `PICTURE_FORMATS`), not its name.
        name: What the message calls it.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UserError: No picture in a format that is read, or damaged.
    """
    kind = picture_format(data[:HEAD])
    if kind is None:
        raise UserError(f"{name} is not a readable picture{what_else(data[:HEAD])} (expected one of {_NAMES})")
    picture = None
    with suppress(cv2.error):  # of pictures that are too large for it
        if kind not in _BY_PILLOW:
            picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is not None:
        return np.asarray(picture, dtype=np.uint8)
    try:  # not every OpenCV has all formats
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            return from_pillow(image)
    except Exception as error:  # decoders raise almost anything on damaged bytes; the reason is kept
        raise UserError(f"{name} is not a readable picture: a damaged {kind}, or one that is not read here") from error


def from_pillow(image: Image.Image) -> Picture:
    """A PIL image as `decode_picture` gives the picture in a file: rotated as its EXIF data say, 8 bits, RGB.

    Returns:
        (H, W, 3) uint8, RGB; of 16 bits the upper 8.

    Raises:
        UserError: Its file is damaged, or it has numbers whose range nobody knows: mode `F`, or `I` with more than 16
            bits.
    """
    try:
        image = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError) as error:  # what is lazily read from its file
        raise UserError(f"the PIL image can't be read: {error}") from error
    if not image.mode.startswith(("I", "F")):
        return np.array(image.convert("RGB"), dtype=np.uint8)
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > _MAX_16_BITS:
        raise UserError(
            f"a PIL image of mode {image.mode} with values from {values.min():g} to {values.max():g} is not a picture "
            "of 8 or 16 bits; scale it to 0 … 255 and convert it to mode L or RGB"
        )
    return np.repeat((values.astype(np.uint16) >> 8).astype(np.uint8)[..., None], 3, axis=2)


def check_bytes(data: Data, name: str | Path = "the data") -> Picture:
    """Decodes a picture that must be whole and of a sensible size.

    The header is looked at first, so that a decompression bomb is never decoded. What the decoder of JPEGs says of
    damage counts.

    Args:
        data: The content of a picture's file.
        name: What a message calls it; most tell only the reason.

    Returns:
        (H, W, 3) uint8, RGB, as `decode_picture` gives it.

    Raises:
        UserError: Truncated, damaged, empty, smaller than 16 pixels a side or larger than 80 megapixels.
    """
    if len(data) == 0:
        raise UserError("empty file (0 bytes)")
    kind = picture_format(data[:HEAD])
    if kind is None:
        raise UserError(f"not a picture{what_else(data[:HEAD])}")
    try:
        _check_whole(data, kind)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"larger than {MAX_PIXELS // 10**6} megapixels") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes; the reason is kept
        raise UserError(f"damaged picture: {error}") from error
    if kind != "JPEG":
        return decode_picture(data, name)
    with jpeg_complaints() as complaints:
        picture = decode_picture(data, name)
    if complaints:
        raise UserError(f"damaged picture: {complaints[0]}")
    return picture


def _check_whole(data: Data, kind: str) -> None:
    """Decodes by Pillow, which is strict, once the header tells a sensible size."""
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            check_size(*image.size)
            if image.mode == "LAB":
                raise UserError("its colours are written as LAB, which OpenCV would take for RGB; save it as RGB")
            image.draft(None, (1, 1))  # of a JPEG every bit is read all the same, but few pixels are made of them
            image.load()
    except UnidentifiedImageError as error:
        if kind != "TIFF":
            raise UserError(f"damaged picture: no {kind} that can be read") from error
        check_size(*_tiff_size(data))  # Pillow knows few kinds of TIFF, such as none with colours of 16 bits


def _tiff_size(data: Data) -> tuple[int, int]:
    """Width and height from the directory of a TIFF, without a pixel being decoded."""
    file = io.BytesIO(data)
    entries = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(entries.next)
    entries.load(file)
    try:
        return int(entries[TiffImagePlugin.IMAGEWIDTH]), int(entries[TiffImagePlugin.IMAGELENGTH])
    except KeyError as error:
        raise UserError("damaged picture: the directory of the TIFF is cut off") from error


def check_size(width: int, height: int) -> None:
    """Refuses pictures that are too small for a face or too large for the memory.

    Raises:
        UserError: Smaller than 16 pixels a side or larger than 80 megapixels.
    """
    if min(width, height) < MIN_SIDE:
        raise UserError(f"{width}×{height} pixels; at least {MIN_SIDE}×{MIN_SIDE} are needed")
    if width * height > MAX_PIXELS:
        raise UserError(f"{width}×{height} pixels; at most {MAX_PIXELS // 10**6} megapixels are read")
