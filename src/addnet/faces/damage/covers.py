"""Objects in front of a face."""

from __future__ import annotations

import numpy as np

from addnet.faces.images import ImageArray


def patched(image: ImageArray, side: float, *, count: int, random: np.random.Generator) -> ImageArray:
    """Draws rectangles of one colour each, anywhere in the image; they may extend over its border.

    Args:
        image: (H, W, 3) uint8.
        side: Square root of a rectangle's area, as a fraction of the image's shorter side.
        count: Number of rectangles.
        random: Draws positions, shapes (at most twice as long as wide) and colours.
    """
    covered = image.copy()
    height, width = image.shape[:2]
    for _ in range(count):
        stretch = 2 ** random.uniform(-0.5, 0.5)
        wide, high = (max(1.0, side * min(height, width) * part) for part in (stretch, 1 / stretch))
        left, top = random.uniform(0, width) - wide / 2, random.uniform(0, height) - high / 2
        rows = slice(max(0, round(top)), max(1, round(top + high)))
        covered[rows, max(0, round(left)) : max(1, round(left + wide))] = random.integers(256, size=3)
    return covered
