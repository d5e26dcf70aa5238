"""Another person's face as the source of a blend: warped onto the landmarks of the target, in its colours.

After Li et al. 2020 (Face X-ray, arXiv 1912.13458), whose blends take the face of another person with nearly the same
landmarks. Written from the paper.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.faces.blend_masks import Mask
from addnet.faces.geometry import LEFT_EYE, RIGHT_EYE, Landmarks
from addnet.faces.images import ImageArray

_GRID = 24  # landmarks a side at which a warp is worked out; between them it is linear
_REACH = 0.25  # faces: how far a landmark takes along what is around it
_STIFF = 0.05  # how little landmarks are followed that contradict those around them
_GAIN = (0.5, 2.0)  # bounds of the factor on the spread of colours
_FOLDS = 1.5  # an image that shrinks by more is averaged down first


class Donor(NamedTuple):
    """A face that is laid over another one.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        landmarks: (68, 2) in its pixels.
    """

    image: ImageArray
    landmarks: Landmarks


def poses(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Landmarks without place, size and roll: faces of one pose and expression are near each other.

    Args:
        landmarks: (N, 68, 2) of faces.

    Returns:
        (N, 68, 2) of length 1 each.
    """
    centred = landmarks - landmarks.mean(axis=1, keepdims=True)
    across = centred[:, RIGHT_EYE].mean(axis=1) - centred[:, LEFT_EYE].mean(axis=1)
    cos, sin = (across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)).T
    turned = np.einsum("nij,npj->npi", np.array([[cos, sin], [-sin, cos]]).transpose(2, 0, 1), centred)
    lengths = np.sqrt((turned**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(turned / np.maximum(lengths, 1e-6), dtype=np.float32)


def worn(donor: Donor, landmarks: Landmarks, rows: slice, columns: slice, *, follow: float) -> ImageArray:
    """A part of a target's image, filled with the face of a donor.

    One affine map brings the donor's landmarks near those of the target; what is left between them moves what is around
    them (Gaussian kernels with ridge regression).

    Args:
        donor: Another person's face.
        landmarks: (68, 2) of the target.
        rows: Of the target's image.
        columns: Of the target's image.
        follow: How far its landmarks go onto those of the target: 0 as the affine map leaves them, 1 all the way.

    Returns:
        (rows, columns, 3) uint8.
    """
    unit, middle = float(np.ptp(landmarks, axis=0).max()), landmarks.mean(axis=0)
    shrinks = float(np.ptp(donor.landmarks, axis=0).max()) / unit
    if shrinks > _FOLDS:
        donor = _smaller(donor, shrinks)
    at = ((landmarks - middle) / unit).astype(np.float64)  # in faces about the middle of the target
    affine, *_ = np.linalg.lstsq(_with_one(at), donor.landmarks.astype(np.float64), rcond=None)
    rest = donor.landmarks - _with_one(at) @ affine
    weights = np.linalg.solve(_nearness(at, at) + _STIFF * np.eye(len(at)), follow * rest)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    across = (np.linspace(columns.start, columns.stop - 1, _GRID) - middle[0]) / unit
    down = (np.linspace(rows.start, rows.stop - 1, _GRID) - middle[1]) / unit
    grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    places = _with_one(grid) @ affine + _nearness(grid, at) @ weights
    fine = np.array([[(size[0] - 1) / (_GRID - 1), 0, 0], [0, (size[1] - 1) / (_GRID - 1), 0]])
    coarse = places.reshape(_GRID, _GRID, 2).astype(np.float32)
    where = cv2.warpAffine(coarse, fine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    filled = cv2.remap(donor.image, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]
    return np.asarray(filled, dtype=np.uint8)


def coloured_like(source: ImageArray, target: ImageArray, mask: Mask, amount: float) -> ImageArray:
    """A source whose colours have the mean and the spread of the target's (Reinhard et al. 2001, here on RGB).

    Args:
        source: (H, W, 3) uint8.
        target: (H, W, 3) uint8.
        mask: (H, W); what lies above half of its maximum is compared.
        amount: 0 as it is, 1 alike.
    """
    inside = np.asarray(mask > mask.max() / 2, dtype=np.uint8)
    (has, spread), (wanted, width) = (
        [np.asarray(value)[:, 0] for value in cv2.meanStdDev(one, mask=inside)] for one in (source, target)
    )
    gain = 1 + amount * (np.clip(width / np.maximum(spread, 1), *_GAIN) - 1)
    matrix = np.column_stack([np.diag(gain), has + amount * (wanted - has) - gain * has])
    return np.asarray(cv2.transform(source, matrix), dtype=np.uint8)


def _smaller(donor: Donor, factor: float) -> Donor:
    """A donor shrunk by a factor: sampled as it is, it would fold high frequencies into false ones."""
    height, width = donor.image.shape[:2]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    image = np.asarray(cv2.resize(donor.image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    # pixel centres: x_small = (x_large + 1/2) / factor - 1/2
    landmarks = (donor.landmarks + 0.5) * (np.array(size) / (width, height)) - 0.5
    return Donor(image, landmarks.astype(np.float32))


def _with_one(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([landmarks, np.ones(len(landmarks))])


def _nearness(landmarks: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) 1 where two landmarks lie upon each other, falling to 0 beyond some `_REACH`."""
    apart = (landmarks**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * landmarks @ others.T
    return np.asarray(np.exp(apart / (-2 * _REACH**2)))
