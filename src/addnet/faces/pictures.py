"""Picture files → RGB arrays: read fast, or checked strictly before they are relied upon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from addnet.errors import UserError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MIN_SIDE = 16
MAX_PIXELS = 80_000_000  # 240 MB as RGB; larger is a scan or a decompression bomb, never a face crop

Picture = NDArray[np.uint8]


def read_picture(path: str | Path) -> Picture:
    """Reads a picture as it would be shown: EXIF rotation applied, 8 bits, three channels.

    Grey is repeated, CMYK and 16 bits are converted, transparency is dropped. A truncated JPEG may come
    back partly grey: `check_picture` finds those.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UserError: The file can't be opened or is no picture that OpenCV reads.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise UserError(f"cannot open {path}: {error.strerror or error}") from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    if picture is None:
        raise UserError(f"{path} is not a readable picture (expected one of {', '.join(PICTURE_SUFFIXES)})")
    return np.asarray(picture, dtype=np.uint8)


def check_picture(path: str | Path) -> Picture:
    """Reads a picture that must be whole and of a sensible size.

    The header is looked at first, so that a decompression bomb is never decoded.

    Returns:
        (H, W, 3) uint8, RGB, as `read_picture` gives it.

    Raises:
        UserError: Truncated, damaged, empty, smaller than 16 pixels a side or larger than 80 megapixels.
    """
    if os.stat(path).st_size == 0:  # noqa: PTH116 - path may be a str, and this runs once a picture
        raise UserError("empty file (0 bytes)")
    try:
        with Image.open(path) as image:
            width, height = image.size
            check_size(width, height)
            image.load()
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"larger than {MAX_PIXELS // 10**6} megapixels") from error
    except UnidentifiedImageError as error:
        raise UserError("not a picture") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes; the reason is kept
        raise UserError(f"damaged picture: {error}") from error
    return read_picture(path)


def check_size(width: int, height: int) -> None:
    """Refuses pictures that are too small for a face or too large for the memory.

    Raises:
        UserError: Smaller than 16 pixels a side or larger than 80 megapixels.
    """
    if min(width, height) < MIN_SIDE:
        raise UserError(f"{width}×{height} pixels; at least {MIN_SIDE}×{MIN_SIDE} are needed")
    if width * height > MAX_PIXELS:
        raise UserError(f"{width}×{height} pixels; at most {MAX_PIXELS // 10**6} megapixels are read")


def iter_pictures(folder: str | Path) -> Iterator[Path]:
    """Picture files below a folder by their suffix, sorted, hidden files and folders left out."""
    yield from iter_files(folder, PICTURE_SUFFIXES)


def iter_files(folder: str | Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder with one of these suffixes (lower case), sorted, hidden files and folders left out."""
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(root, name)
