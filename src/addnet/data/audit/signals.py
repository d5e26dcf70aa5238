"""The bytes of an image → the few numbers by which an audit compares images, in one pass."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from addnet.faces.domain.measures import sharpness
from addnet.faces.images import ImageArray, check_bytes, undecoded

FORMATS = ("other", "JPEG", "PNG", "BMP", "WEBP")
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
NO_JPEG = -1
SIGNALS = np.dtype(
    [
        ("digest", "<u8", (2,)),  # blake2b of the file
        ("phash", "<u8"),  # see `perceptual_hash`
        ("tables", "<u8"),  # digest of the JPEG quantisation tables; 0 without
        ("size", "<i8"),  # bytes
        ("width", "<i4"),  # pixels as shown; 0 marks an image that could not be read
        ("height", "<i4"),
        ("brightness", "<f4"),  # mean grey level, 0 to 255
        ("contrast", "<f4"),  # standard deviation of the grey levels
        ("saturation", "<f4"),  # mean of HSV's S, 0 to 255
        ("sharpness", "<f4"),  # standard deviation of the Laplacian
        ("quality", "<f4"),  # estimated JPEG quality, 1 to 100; NaN without
        ("subsampling", "i1"),  # position in SUBSAMPLINGS; -1 without or unknown
        ("format", "u1"),  # position in FORMATS
        ("flat", "?"),  # no structure: its perceptual hash says nothing
    ]
)
_STANDARD_SUM = 3688  # of the luminance table in annex K of the JPEG standard, which libjpeg calls quality 50
_FLAT = 2.0  # grey levels of standard deviation at 32 × 32 below which an image shows nothing
_ROWS, _COLUMNS = np.indices((8, 8))
_MIXED = np.argsort((_ROWS + _COLUMNS).ravel() % 4, kind="stable")  # each quarter gets low and high frequencies


def measure(data: bytes) -> NDArray[np.void]:
    """All signals of one image.

    Args:
        data: The whole file.

    Returns:
        () of dtype `SIGNALS`.

    Raises:
        UserError: The image can't be decoded; see `check_bytes`.
    """
    row = np.zeros((), dtype=SIGNALS)
    row["digest"] = np.frombuffer(hashlib.blake2b(data, digest_size=16).digest(), dtype="<u8")
    row["size"] = len(data)
    image = check_bytes(data)
    _describe_file(row, data)
    row["height"], row["width"] = image.shape[:2]
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    for name, value in describe_content(image, grey).items():
        row[name] = value
    row["phash"], row["flat"] = perceptual_hash(grey)
    return row


def describe_content(image: ImageArray, grey: NDArray[np.uint8]) -> dict[str, float]:
    """What an image shows in four numbers, as `SIGNALS` has them.

    Args:
        image: (H, W, 3) uint8, RGB.
        grey: (H, W), the same in grey.
    """
    mean, deviation = cv2.meanStdDev(grey)
    return {
        "brightness": float(mean[0, 0]),
        "contrast": float(deviation[0, 0]),
        "saturation": cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))[1],
        "sharpness": sharpness(grey),
    }


def perceptual_hash(grey: NDArray[np.uint8]) -> tuple[int, bool]:
    """64 bits that stay nearly the same when an image is saved again, resized, blurred or made brighter.

    The image is shrunk to 32 × 32; of its cosine transform the 8 × 8 lowest frequencies (without the mean and
    the pure rows and columns, which distinguish people less well) are compared with their median.

    Args:
        grey: (H, W).

    Returns:
        The hash, of which each 16 bits hold both low and high frequencies, and whether the image is flat: then the hash
        is noise.
    """
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves = cv2.dct(small)[1:9, 1:9].ravel()[_MIXED]
    bits = np.packbits(waves > np.median(waves)).view("<u8")[0]
    return int(bits), float(small.std()) < _FLAT


def _describe_file(row: NDArray[np.void], data: bytes) -> None:
    image = undecoded(data)
    row["format"] = FORMATS.index(image.format) if image and image.format in FORMATS else 0
    row["quality"], row["subsampling"] = np.nan, NO_JPEG
    if not isinstance(image, JpegImageFile) or not image.quantization:
        return
    tables = image.quantization
    content = np.concatenate([[key, *tables[key]] for key in sorted(tables)]).astype("<u2").tobytes()
    row["tables"] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
    row["quality"] = _quality(sum(tables[min(tables)]))
    row["subsampling"] = get_sampling(image)


def _quality(table_sum: int) -> float:
    """Libjpeg's quality from the sum of the luminance table; tables of other encoders get the nearest one."""
    scale = 100 * table_sum / _STANDARD_SUM
    return round(float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100)))
