"""Noise of sensors and of bad transmission; the result depends only on the image and the generator."""

from __future__ import annotations

import cv2
import numpy as np

from addnet.faces.images import ImageArray

Random = np.random.Generator


def gaussian(image: ImageArray, deviation: float, random: Random) -> ImageArray:
    """Adds normally distributed noise to each value.

    Args:
        image: (H, W, 3) uint8.
        deviation: Standard deviation in grey levels (of 255).
        random: Draws the noise.
    """
    noise = random.standard_normal(image.shape, dtype=np.float32) * np.float32(deviation)
    noise += image
    return np.asarray(np.clip(np.rint(noise, out=noise), 0, 255, out=noise), dtype=np.uint8)


def speckle(image: ImageArray, deviation: float, random: Random) -> ImageArray:
    """Adds normally distributed noise in proportion to each value, so that dark areas stay dark.

    Args:
        image: (H, W, 3) uint8.
        deviation: Standard deviation as a fraction of the value.
        random: Draws the noise.
    """
    noise = random.standard_normal(image.shape, dtype=np.float32) * np.float32(deviation)
    return np.asarray(cv2.multiply(image, 1 + noise, dtype=cv2.CV_8U), dtype=np.uint8)


def salt_and_pepper(image: ImageArray, share: float, random: Random) -> ImageArray:
    """Makes single pixels white or black with equal probability.

    Args:
        image: (H, W, 3) uint8.
        share: Fraction of the pixels, drawn with replacement; at least one pixel.
        random: Draws the pixels and their colours.
    """
    grains = image.reshape(-1, 3).copy()
    count = max(1, round(share * len(grains)))
    places = random.integers(len(grains), size=count)
    grains[places] = random.integers(2, size=(count, 1), dtype=np.uint8) * np.uint8(255)
    return grains.reshape(image.shape)
