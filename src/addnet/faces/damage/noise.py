"""Noise of sensors and of bad lines; what is drawn depends on the generator alone."""

from __future__ import annotations

import cv2
import numpy as np

from addnet.faces.images import ImageArray

Random = np.random.Generator


def gaussian(image: ImageArray, deviation: float, random: Random) -> ImageArray:
    """Adds normal noise to each value.

    Args:
        image: (H, W, 3) uint8.
        deviation: Standard deviation in grey levels (of 255).
        random: Draws it.
    """
    noise = random.standard_normal(image.shape, dtype=np.float32) * np.float32(deviation)
    noise += image
    return np.asarray(np.clip(np.rint(noise, out=noise), 0, 255, out=noise), dtype=np.uint8)


def speckle(image: ImageArray, deviation: float, random: Random) -> ImageArray:
    """The same in proportion to the value: dark places stay dark.

    Args:
        image: (H, W, 3) uint8.
        deviation: Standard deviation as a share of the value.
        random: Draws it.
    """
    noise = random.standard_normal(image.shape, dtype=np.float32) * np.float32(deviation)
    return np.asarray(cv2.multiply(image, 1 + noise, dtype=cv2.CV_8U), dtype=np.uint8)


def salt_and_pepper(image: ImageArray, share: float, random: Random) -> ImageArray:
    """Single pixels become white or black, each as often.

    Args:
        image: (H, W, 3) uint8.
        share: Of the pixels, with a place drawn twice counted twice; at least one pixel.
        random: Draws which.
    """
    grains = image.reshape(-1, 3).copy()
    count = max(1, round(share * len(grains)))
    places = random.integers(len(grains), size=count)
    grains[places] = random.integers(2, size=(count, 1), dtype=np.uint8) * np.uint8(255)
    return grains.reshape(image.shape)
