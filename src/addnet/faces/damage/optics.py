"""Traces of lenses, movement, screens and resizing in an image. Lengths are in pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.faces.images import ImageArray

Random = np.random.Generator


def blurred(image: ImageArray, sigma: float) -> ImageArray:
    """Applies a Gaussian blur, truncated at two sigmas.

    Args:
        image: (H, W, 3) uint8.
        sigma: In pixels, above 0.
    """
    width = 2 * int(np.ceil(2 * sigma)) + 1
    return np.asarray(cv2.GaussianBlur(image, (width, width), sigma), dtype=np.uint8)


def moved(image: ImageArray, length: float, *, angle: float) -> ImageArray:
    """Applies motion blur: the mean along a straight line.

    Args:
        image: (H, W, 3) uint8.
        length: Length of the line in pixels; at least one pixel is used.
        angle: Angle of the line to the x axis, in radians.
    """
    half = max(length - 1, 0) / 2  # one pixel of the length is the width of a pixel itself
    steps = np.linspace(-half, half, 8 * int(np.ceil(half)) + 1)
    radius = int(np.ceil(half)) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), dtype=np.float32)
    for x, y in zip(radius + steps * np.cos(angle), radius + steps * np.sin(angle), strict=True):
        left, top = int(x), int(y)
        right, down = x - left, y - top
        kernel[top : top + 2, left : left + 2] += np.outer((1 - down, down), (1 - right, right))
    rows, columns = (np.flatnonzero(kernel.sum(axis=axis)) for axis in (1, 0))  # crop: a narrow kernel is faster
    top, left = (min(used[0], 2 * radius - used[-1]) for used in (rows, columns))  # its middle stays the middle
    kernel = kernel[top : 2 * radius + 1 - top, left : 2 * radius + 1 - left]
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT), dtype=np.uint8)


def there_and_back(image: ImageArray, factor: float) -> ImageArray:
    """Resizes an image by a factor and back: by averaging over areas when it shrinks, bilinearly when it grows.

    Args:
        image: (H, W, 3) uint8.
        factor: Factor on both sides; no side becomes shorter than a pixel.
    """
    height, width = image.shape[:2]
    other = (max(1, round(width * factor)), max(1, round(height * factor)))
    ways = (cv2.INTER_AREA, cv2.INTER_LINEAR) if factor <= 1 else (cv2.INTER_LINEAR, cv2.INTER_AREA)
    resized = cv2.resize(image, other, interpolation=ways[0])
    return np.asarray(cv2.resize(resized, (width, height), interpolation=ways[1]), dtype=np.uint8)


def vignetted(image: ImageArray, strength: float, random: Random) -> ImageArray:
    """Darkens an image with the squared distance from a point near the middle.

    Args:
        image: (H, W, 3) uint8.
        strength: How much darker the farthest corner becomes: 1 is black.
        random: Draws the bright point, at most a tenth of each side from the middle.
    """
    height, width = image.shape[:2]
    across, down = random.uniform(0.4, 0.6, 2)
    squares = _axis(height, down)[:, None] ** 2 + _axis(width, across) ** 2
    return _times(image, cv2.merge([1 - strength * squares / squares.max()] * 3))


def moire(image: ImageArray, strength: float, *, period: float, random: Random) -> ImageArray:
    """Adds moiré: curved coloured stripes, as when the pixel grids of a screen and a camera interfere.

    Args:
        image: (H, W, 3) uint8.
        strength: Amplitude of the stripes, as a fraction of the brightness.
        period: Period of the stripes in pixels, in the middle of the image.
        random: Draws direction, curvature and the phase shift between the colours.
    """
    height, width = image.shape[:2]
    angle, start = random.uniform(0, 2 * np.pi, 2).astype(np.float32)
    bend_down, bend_across = random.uniform(-0.5, 0.5, 2)
    phases = start + np.arange(3, dtype=np.float32) * np.float32(random.uniform(0.3, 2 * np.pi / 3))
    waves = 2 * np.pi / period * max(height, width)
    x, y = _axis(width, 0.5) * width / max(height, width), _axis(height, 0.5) * height / max(height, width)
    # (W,) and (H,): the phase is a sum of a term in x and a term in y, so its cosine is a sum of outer products
    along = (waves * (np.cos(angle) * x + bend_across * x**2)).astype(np.float32)
    below = (waves * (np.sin(angle) * y + bend_down * y**2)).astype(np.float32)
    planes = [
        np.outer(np.float32(strength) * np.cos(below + phase), np.cos(along))
        - np.outer(np.float32(strength) * np.sin(below + phase), np.sin(along))
        for phase in phases
    ]
    return _times(image, 1 + cv2.merge(planes))


def _axis(length: int, middle: float) -> NDArray[np.float32]:
    """(length,) signed distances from the point at this fraction of the length, as fractions of the length."""
    return ((np.arange(length, dtype=np.float32) + 0.5) / length - np.float32(middle)).astype(np.float32)


def _times(image: ImageArray, factors: Any) -> ImageArray:
    """Multiplies an image by factors of its shape, rounded and clipped to 8 bits."""
    return np.asarray(cv2.multiply(image, factors, dtype=cv2.CV_8U), dtype=np.uint8)
