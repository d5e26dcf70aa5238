"""Measures of a face as a network sees it, to recognise images unlike those that it was trained on."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.faces.domain.appearance import appearance
from addnet.faces.geometry import LEFT_EYE, MOUTH, RIGHT_EYE, Landmarks
from addnet.faces.images import ImageArray

_NOSE_TIP, _JAW_ENDS = 30, (0, 16)


class FaceMeasures(NamedTuple):
    """Measures of one face.

    Attributes:
        size: Longer side of the box around its landmarks, in pixels of its file.
        sharpness: Standard deviation of the Laplacian of the view that the network sees, in grey levels.
        exposure: Mean grey level of that view within the box around the landmarks, 0 to 255.
        yaw: How far the face is turned to the side: 0 when frontal, towards 1 in profile.
        pitch: Position of the tip of the nose between eyes (0) and mouth (1), about 0.5 to 0.7 when frontal.
        outside: Fraction of the landmarks that lie outside the view.
        appearance: (36,) from `appearance`.
    """

    size: float
    sharpness: float
    exposure: float
    yaw: float
    pitch: float
    outside: float
    appearance: NDArray[np.float64]


def measure(image: ImageArray, landmarks: Landmarks, *, size: float) -> FaceMeasures:
    """Measures a face.

    Args:
        image: (S, S, 3) uint8, RGB, as the network sees it.
        landmarks: (68, 2) in pixels of the image.
        size: Longer side of the box around the landmarks, in pixels of the file.
    """
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    last = len(grey) - 1
    left, top = np.clip(np.floor(landmarks.min(axis=0)), 0, last).astype(int)
    right, bottom = np.clip(np.ceil(landmarks.max(axis=0)), 0, last).astype(int)
    outside = ((landmarks < 0) | (landmarks > last)).any(axis=1).mean()
    exposure = grey[top : bottom + 1, left : right + 1].mean()
    return FaceMeasures(size, sharpness(grey), float(exposure), *turned(landmarks), float(outside), appearance(image))


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Standard deviation of the Laplacian of an image in grey levels, (H, W)."""
    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0])


def turned(landmarks: Landmarks) -> tuple[float, float]:
    """Yaw and pitch of a face as in `FaceMeasures`, from its (68, 2) landmarks; independent of the head's roll."""
    eyes = landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
    across = eyes / max(float(np.hypot(*eyes)), 1e-6)
    down = np.array([-across[1], across[0]])
    nose = landmarks[_NOSE_TIP]
    before, behind = (abs(float((landmarks[end] - nose) @ across)) for end in _JAW_ENDS)
    middle = (landmarks[RIGHT_EYE].mean(axis=0) + landmarks[LEFT_EYE].mean(axis=0)) / 2
    length = float((landmarks[MOUTH].mean(axis=0) - middle) @ down)
    pitch = float((nose - middle) @ down) / (length if abs(length) > 1e-6 else 1e-6)
    return abs(before - behind) / max(before + behind, 1e-6), float(np.clip(pitch, -10, 10))
