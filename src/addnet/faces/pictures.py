"""Picture files → RGB arrays: read fast, or checked strictly before they are relied upon."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from addnet.errors import UserError
from addnet.faces.formats import PICTURE_SUFFIXES

MIN_SIDE = 16
MAX_PIXELS = 80_000_000  # 240 MB as RGB; larger is a scan or a decompression bomb, never a face crop
MAX_BYTES = 400 << 20  # 80 megapixels without compression, with transparency

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

    Grey is repeated, CMYK and 16 bits are converted, transparency is dropped. A truncated JPEG may come
    back partly grey: `check_bytes` finds those.

    Args:
        data: The content of a picture's file.
        name: What the message calls it.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UserError: No picture that OpenCV reads.
    """
    content = np.frombuffer(data, dtype=np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB) if content.size else None
    if picture is None:
        raise UserError(f"{name} is not a readable picture (expected one of {', '.join(PICTURE_SUFFIXES)})")
    return np.asarray(picture, dtype=np.uint8)


def check_bytes(data: Data, name: str | Path = "the data") -> Picture:
    """Decodes a picture that must be whole and of a sensible size.

    The header is looked at first, so that a decompression bomb is never decoded.

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
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            check_size(width, height)
            image.draft(None, (1, 1))  # of a JPEG every bit is read all the same, but few pixels are made of them
            image.load()
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"larger than {MAX_PIXELS // 10**6} megapixels") from error
    except UnidentifiedImageError as error:
        raise UserError("not a picture") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes; the reason is kept
        raise UserError(f"damaged picture: {error}") from error
    return decode_picture(data, name)


def check_size(width: int, height: int) -> None:
    """Refuses pictures that are too small for a face or too large for the memory.

    Raises:
        UserError: Smaller than 16 pixels a side or larger than 80 megapixels.
    """
    if min(width, height) < MIN_SIDE:
        raise UserError(f"{width}×{height} pixels; at least {MIN_SIDE}×{MIN_SIDE} are needed")
    if width * height > MAX_PIXELS:
        raise UserError(f"{width}×{height} pixels; at most {MAX_PIXELS // 10**6} megapixels are read")
