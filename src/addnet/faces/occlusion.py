"""Covers the eyes, nose or mouth of a face with plain skin, to show how much a detector relies on them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import require_choice
from addnet.faces.geometry import EYES, MOUTH, NOSE, Landmarks
from addnet.faces.images import ImageArray

ORGANS = {"eyes": EYES, "nose": NOSE, "mouth": MOUTH}
_ROOM = 1.25  # landmarks lie on lids and lips; the organ extends a little beyond them
_SOFT = 0.02  # sigma of the cover's edge over the face's longer side: a sharp edge would itself look forged


def occlude(image: ImageArray, landmarks: Landmarks, organ: str, *, scale: float = 1.0) -> ImageArray:
    """Covers one organ with the mean colour of the face outside the organs.

    Args:
        image: (H, W, 3) uint8.
        landmarks: (68, 2) in pixels of the image; they may lie outside.
        organ: `eyes` (both, as one hull), `nose` or `mouth`.
        scale: Size of the cover over the size of the organ; 0 covers nothing.

    Returns:
        (H, W, 3) uint8, a new image.
    """
    part = landmarks[ORGANS[require_choice("organ", organ, ORGANS)]]
    centre = (part.min(axis=0) + part.max(axis=0)) / 2
    cover = _filled(image.shape, centre + (part - centre) * (scale * _ROOM)) if scale > 0 else None
    if cover is None or not cover.any():
        return image.copy()
    side = float((landmarks.max(axis=0) - landmarks.min(axis=0)).max())
    soft = cv2.GaussianBlur(cover, (0, 0), max(_SOFT * side, 0.5))[..., None]
    covered = image * (1 - soft) + skin(image, landmarks) * soft
    return np.asarray(np.rint(covered), dtype=np.uint8)


def skin(image: ImageArray, landmarks: Landmarks) -> NDArray[np.float64]:
    """(3,) mean colour of a face without its organs; of the whole image if no part of the face lies in it."""
    face = _filled(image.shape, landmarks)
    for organ in ORGANS.values():
        face[_filled(image.shape, landmarks[organ]) > 0] = 0
    chosen = image[face > 0]
    return np.asarray(chosen.mean(axis=0) if len(chosen) else image.mean(axis=(0, 1)), dtype=np.float64)


def _filled(shape: tuple[int, ...], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    canvas = np.zeros(shape[:2], dtype=np.float32)
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.rint(landmarks).astype(np.int32)), 1.0)
    return canvas
