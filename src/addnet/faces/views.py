"""An image → what the network sees of it: one function for training, inference and sheets, so that they agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from addnet.faces.geometry import Geometry, Jitter, Landmarks, map_landmarks, warp_image
from addnet.faces.images import ImageArray


class View(NamedTuple):
    """What a network sees of an image; the attention mask is drawn from its landmarks.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        landmarks: (68, 2) float32 in pixels of the view; they may lie outside. None without a face.
    """

    image: ImageArray
    landmarks: Landmarks | None


def view(
    image: ImageArray,
    landmarks: Landmarks | None,
    geometry: Geometry,
    *,
    jitter: Jitter | None = None,
    light: Callable[..., object] | None = None,
    out: ImageArray | None = None,
) -> View:
    """Warps an image once and maps its landmarks by the same matrix.

    Args:
        image: (H, W, 3) uint8, RGB.
        landmarks: (68, 2) in pixels of the image; None: no face, the whole image, unrotated.
        geometry: Which part of the image is seen, and how it is rotated.
        jitter: Additional movement, drawn by augmentation.
        light: Changes the pixels of the view in place: called as `light(seen, out=seen)`.
        out: (S, S, 3) uint8 that receives the view.

    Example:
        >>> seen = view(np.zeros((90, 60, 3), np.uint8), None, Geometry(size=64))
        >>> seen.image.shape, seen.landmarks
        ((64, 64, 3), None)
    """
    matrix = geometry.matrix(image.shape, landmarks, jitter)
    seen = warp_image(np.ascontiguousarray(image), matrix, geometry.size, out=out)
    if light:
        light(seen, out=seen)
    return View(seen, None if landmarks is None else map_landmarks(landmarks, matrix))


def landmarks_in_view(
    shape: tuple[int, ...], landmarks: Landmarks | None, geometry: Geometry, *, jitter: Jitter | None = None
) -> Landmarks | None:
    """Returns the landmarks of `view` without warping the image, such as for a mask that is used for another image.

    Args:
        shape: (H, W, ...) of the image.
        landmarks: (68, 2) in pixels of the image, or None.
        geometry: Which part of the image is seen, and how it is rotated.
        jitter: Additional movement, drawn by augmentation.
    """
    return None if landmarks is None else map_landmarks(landmarks, geometry.matrix(shape, landmarks, jitter))
