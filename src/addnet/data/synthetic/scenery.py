"""Draws the background behind the person."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.synthetic.people import PortraitView


def background(view: PortraitView, side: int) -> NDArray[np.float32]:
    """A random room or garden, more or less out of focus: (side, side, 3) float32 RGB in [0, 1]."""
    rng = np.random.default_rng((view.scene, 0))
    half = side // 2
    base = rng.uniform(0.2, 0.8) * rng.uniform(0.88, 1.12, 3)
    coarse = base * rng.normal(1, 0.18, (5, 5, 1)) + rng.normal(0, 0.015, (5, 5, 3))
    room = cv2.resize(coarse.astype(np.float32), (half, half), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(1, 7))):
        left, top, right, bottom = rng.integers(-half // 4, half + half // 4, 4).tolist()
        colour = base * rng.uniform(0.5, 1.5) * rng.uniform(0.85, 1.15, 3)
        cv2.rectangle(room, (left, top), (right, bottom), colour.tolist(), -1)
    room = cv2.GaussianBlur(room, (0, 0), half * rng.uniform(0.004, 0.04))
    busy = 1 + _pattern(rng, half) * np.float32(0.14 * rng.uniform() ** 2)
    return np.asarray(cv2.resize(room * busy, (side, side), interpolation=cv2.INTER_LINEAR), np.float32).clip(
        0.02, 0.98
    )


def _pattern(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A texture like leaves, plaster or wallpaper: (side, side, 1) float32 with mean 0 and deviation about 1."""
    pattern = np.zeros((side, side), np.float32)
    for coarseness in (1, 2, 4):
        cells = int(side * rng.uniform(0.4, 0.7)) // coarseness
        noise = rng.standard_normal((cells, cells), np.float32)
        pattern += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        pattern *= 0.4
        row, column = np.mgrid[:side, :side] * (rng.uniform(20, 90) / side)
        stripes = np.sign(np.sin(column + rng.uniform(-0.2, 0.2) * row))
        pattern += stripes + rng.integers(0, 2) * np.sign(np.sin(row))
    return pattern[..., None]
