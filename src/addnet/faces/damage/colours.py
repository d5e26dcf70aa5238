"""Changes of light and colour that are uniform over an image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.faces.images import ImageArray

Random = np.random.Generator
_LUMA = np.array([0.299, 0.587, 0.114])  # of R, G, B: ITU-R BT.601
_LEVELS = np.arange(256) / 255


def lit(
    image: ImageArray, *, brightness: float = 1.0, contrast: float = 1.0, out: ImageArray | None = None
) -> ImageArray:
    """Multiplies the values by a factor (brightness), and their distance from the mean by another (contrast).

    Args:
        image: (H, W, 3) uint8.
        brightness: 1 changes nothing.
        contrast: 1 changes nothing.
        out: Array of the same shape that receives the result; may be the image itself.
    """
    mean = float(_LUMA @ cv2.mean(image)[:3]) if contrast != 1 else 0.0
    factor, offset = contrast * brightness, mean * (1 - contrast) * brightness
    seen: Any = cv2.addWeighted(image, factor, image, 0, offset, dst=out)  # rounded and clipped to 8 bits
    return np.asarray(seen, dtype=np.uint8)


def saturated(image: ImageArray, factor: float) -> ImageArray:
    """Multiplies the distance from grey by a factor: 0 leaves only brightness, 1 changes nothing.

    Args:
        image: (H, W, 3) uint8, RGB.
        factor: At least 0.
    """
    mixing = factor * np.eye(3) + (1 - factor) * np.tile(_LUMA, (3, 1))
    return np.asarray(cv2.transform(image, mixing), dtype=np.uint8)


def cast(image: ImageArray, strength: float, random: Random) -> ImageArray:
    """Adds a colour cast: multiplies R, G and B by factors whose mean is 1.

    Args:
        image: (H, W, 3) uint8, RGB.
        strength: Distance from 1 of the most extreme factor.
        random: Draws the colour.
    """
    away = random.standard_normal(3)
    away -= away.mean()
    return _looked_up(image, _LEVELS[:, None] * (1 + strength * away / np.abs(away).max()))


def gamma(image: ImageArray, exponent: float) -> ImageArray:
    """Raises the values, as fractions of white, to a power: above 1 is darker, below 1 brighter.

    Args:
        image: (H, W, 3) uint8.
        exponent: Above 0.
    """
    return _looked_up(image, np.tile(_LEVELS[:, None] ** exponent, (1, 3)))


def banded(image: ImageArray, levels: int) -> ImageArray:
    """Reduces each channel from 256 to `levels` values, so that smooth areas show steps.

    Args:
        image: (H, W, 3) uint8.
        levels: At least 2.
    """
    return _looked_up(image, np.tile(np.rint(_LEVELS * (levels - 1))[:, None] / (levels - 1), (1, 3)))


def _looked_up(image: ImageArray, table: NDArray[np.float64]) -> ImageArray:
    """Maps each channel by its column of a (256, 3) table of fractions of white."""
    rounded = np.clip(np.rint(255 * table), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, rounded[None]), dtype=np.uint8)
