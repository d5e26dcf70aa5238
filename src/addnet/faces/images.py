"""Image files → RGB arrays: read fast, or checked strictly before they are used."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from addnet.errors import UserError
from addnet.faces.formats import HEAD, IMAGE_FORMATS, image_format, what_else
from addnet.faces.headers import header_of
from addnet.faces.native import jpeg_complaints
from addnet.untrusted.files import read_bytes, reason

MIN_SIDE = 16
MAX_PIXELS = 80_000_000  # 240 MB as RGB; a larger image is a scan or a decompression bomb, never a face crop
MAX_BYTES = 400 << 20  # 80 megapixels, uncompressed, with transparency
MAX_SCANS = 500  # of a JPEG; encoders write about ten
MAX_SCANNED = 16 * MAX_PIXELS  # pixels times scans
_MAX_16_BITS = 0xFFFF
_NAMES = ", ".join(kind.name for kind in IMAGE_FORMATS)
_PNG_RGB = b"\x08\x02"  # 8 bits, RGB without transparency: every decoder gives the same pixels
_BY_PILLOW = ("JPEG2000", "AVIF")  # OpenCV writes a warning for each of the former and doesn't rotate the latter

ImageArray = NDArray[np.uint8]
Data = bytes | memoryview


def read_image(path: str | Path) -> ImageArray:
    """Reads an image as it would be shown: `decode_image` for a file.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UserError: The file can't be opened, is larger than 400 MB, is not an image in a supported format, or has more
            than 80 megapixels.
    """
    try:
        data = read_bytes(path, most=MAX_BYTES)
    except OSError as error:
        raise UserError(f"cannot open {path}: {error.strerror or error}") from error
    return decode_image(data, path)


def check_image(path: str | Path) -> ImageArray:
    """Reads an image that must be intact and of a sensible size: `check_bytes` for a file.

    Returns:
        (H, W, 3) uint8, RGB, as `read_image` returns it.

    Raises:
        UserError: Not a regular file, larger than 400 MB, truncated, damaged, empty, smaller than 16 pixels a side or
            larger than 80 megapixels.
        OSError: The file can't be opened.
    """
    try:
        data = read_bytes(path, most=MAX_BYTES)
    except UserError as error:
        raise UserError(reason(error, path)) from error.__cause__
    return check_bytes(data, path)


def named_image(path: str | Path) -> ImageArray:
    """Reads an image by `check_image`; error messages start with the path.

    Raises:
        UserError: The file can't be read, or is not an image.
    """
    try:
        return check_image(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def decode_image(data: Data, name: str | Path = "the data") -> ImageArray:
    """Decodes an image as it would be shown: EXIF rotation applied, 8 bits, three channels.

    Grey is repeated, CMYK and 16 bits are converted, transparency is dropped; the first of several images in a file is
    used. A truncated JPEG may come back partly grey: `check_bytes` rejects those.

    Args:
        data: The content of an image file. Its first bytes determine the format (see `IMAGE_FORMATS`), not its name.
        name: What error messages call it.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        UserError: Not an image in a supported format, damaged, or larger than 80 megapixels by its header.
    """
    kind = image_format(data[:HEAD])
    if kind is None:
        raise UserError(f"{name} is not a readable image{what_else(data[:HEAD])} (expected one of {_NAMES})")
    try:
        if kind not in _BY_PILLOW:
            _check_header(data, kind)
            with suppress(cv2.error):
                if (decoded := cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)) is not None:
                    return np.asarray(decoded, dtype=np.uint8)
        with Image.open(io.BytesIO(data), formats=[kind]) as opened:  # not every build of OpenCV reads all formats
            _check_pixels(*opened.size)
            return from_pillow(opened)
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: larger than {MAX_PIXELS // 10**6} megapixels") from error
    except UserError as error:
        raise UserError(f"{name}: {error}") from error.__cause__
    except Exception as error:  # decoders raise almost anything on damaged bytes; the reason is kept
        raise UserError(f"{name} is not a readable image: {kind} that is damaged or of an unsupported kind") from error


def _check_header(data: Data, kind: str) -> None:
    """Refuses images that would take too much memory or time, before any of it is decoded."""
    header = header_of(data if isinstance(data, bytes) else bytes(data), kind)
    _check_pixels(header.width, header.height)
    if header.scans > MAX_SCANS or header.width * header.height * header.scans > MAX_SCANNED:
        raise UserError(
            f"{kind} of {header.width}×{header.height} pixels in {header.scans:,} scans; at most {MAX_SCANS} are read, "
            f"and {MAX_SCANNED // MAX_PIXELS} of {MAX_PIXELS // 10**6} megapixels"
        )


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(f"{width}×{height} pixels; at most {MAX_PIXELS // 10**6} megapixels are read")


def from_pillow(image: Image.Image) -> ImageArray:
    """Converts a PIL image as `decode_image` would its file: rotated according to EXIF, 8 bits, RGB.

    Returns:
        (H, W, 3) uint8, RGB; the upper 8 of 16 bits.

    Raises:
        UserError: Its file is damaged, or the range of its values is unknown: mode `F`, or `I` with more than 16 bits.
    """
    try:
        image = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError) as error:  # raised when Pillow loads the pixels lazily
        raise UserError(f"the PIL image can't be read: {error}") from error
    if not image.mode.startswith(("I", "F")):
        return np.array(image.convert("RGB"), dtype=np.uint8)
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > _MAX_16_BITS:
        raise UserError(
            f"a PIL image of mode {image.mode} with values from {values.min():g} to {values.max():g} is not an image "
            "of 8 or 16 bits; scale it to 0 … 255 and convert it to mode L or RGB"
        )
    return np.repeat((values.astype(np.uint16) >> 8).astype(np.uint8)[..., None], 3, axis=2)


def as_image(image: Any) -> ImageArray:
    """Returns the pixels of an image that a caller passed in.

    Args:
        image: (H, W, 3) uint8, RGB, or a PIL image.

    Raises:
        UserError: It is neither, or has fewer than `MIN_SIDE` pixels a side.
    """
    if image is None or isinstance(image, (bytes, bytearray, memoryview)):
        raise UserError(
            f"{type(image).__name__} is not an image; pass a file, (H, W, 3) uint8, RGB, or a PIL image such as "
            "PIL.Image.open(io.BytesIO(data))"
        )
    pixels = from_pillow(image) if isinstance(image, Image.Image) else np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or min(pixels.shape[:2]) < MIN_SIDE:
        raise UserError(
            f"an array of shape {pixels.shape} and dtype {pixels.dtype} is not an image; pass (H, W, 3) uint8, RGB, "
            f"of at least {MIN_SIDE} pixels a side, a PIL image or a file"
        )
    return pixels


def check_bytes(data: Data, name: str | Path = "the data") -> ImageArray:
    """Decodes an image that must be intact and of a sensible size.

    The header is checked first, so that a decompression bomb is never decoded. A JPEG is refused if its decoder
    reports damage.

    Args:
        data: The content of an image file.
        name: What error messages call it; most give only the reason.

    Returns:
        (H, W, 3) uint8, RGB, as `decode_image` returns it.

    Raises:
        UserError: Truncated, damaged, empty, smaller than 16 pixels a side or larger than 80 megapixels.
    """
    if len(data) == 0:
        raise UserError("empty file (0 bytes)")
    kind = image_format(data[:HEAD])
    if kind is None:
        raise UserError(f"not an image{what_else(data[:HEAD])}")
    if kind not in _BY_PILLOW:
        _check_header(data, kind)
    try:
        whole = _strictly(data, kind)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"larger than {MAX_PIXELS // 10**6} megapixels") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes; the reason is kept
        raise UserError(f"damaged image: {error}") from error
    if whole is not None:
        return whole
    if kind != "JPEG":
        return decode_image(data, name)
    with jpeg_complaints() as complaints:
        image = decode_image(data, name)
    if complaints:
        raise UserError(f"damaged image: {complaints[0]}")
    return image


def _strictly(data: Data, kind: str) -> ImageArray | None:
    """Decodes by Pillow, which is strict; returns the image if `decode_image` would give the same, otherwise None."""
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            check_size(*image.size)
            if image.mode == "LAB":
                raise UserError("its colours are stored as LAB, which OpenCV would read as RGB; save it as RGB")
            image.draft(None, (1, 1))  # still reads every bit of a JPEG, but produces few pixels
            image.load()
            if kind in _BY_PILLOW:
                return from_pillow(image)
            if kind == "PNG" and data[24:26] == _PNG_RGB and getattr(image, "n_frames", 1) == 1:
                ImageOps.exif_transpose(image, in_place=True)
                return np.array(image, dtype=np.uint8)
    except UnidentifiedImageError as error:
        if kind != "TIFF":
            raise UserError(f"damaged image: not a readable {kind}") from error
        header = header_of(bytes(data), kind)  # Pillow lacks many kinds of TIFF, such as RGB with 16 bits
        check_size(header.width, header.height)
    return None


def undecoded(data: Data) -> Image.Image | None:
    """Opens an image that `check_bytes` has accepted with Pillow, undecoded, for its tables and metadata.

    Returns:
        The image; None for kinds that Pillow doesn't know.

    Example:
        >>> undecoded(b"P6 40 30 255 ").size
        (40, 30)
    """
    try:
        return Image.open(io.BytesIO(data), formats=[str(image_format(data[:HEAD]))])
    except UnidentifiedImageError:
        return None


def check_size(width: int, height: int) -> None:
    """Refuses images that are too small for a face or too large for memory.

    Raises:
        UserError: Smaller than 16 pixels a side or larger than 80 megapixels.
    """
    if min(width, height) < MIN_SIDE:
        raise UserError(f"{width}×{height} pixels; at least {MIN_SIDE}×{MIN_SIDE} are needed")
    _check_pixels(width, height)
