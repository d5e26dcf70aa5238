"""Another person's face as the source of a blend: warped onto the target's landmarks, in the target's colours.

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

_GRID = 24  # nodes per side at which a warp is computed; it is interpolated linearly between them
_REACH = 0.25  # faces: sigma of the kernel by which a landmark moves its surroundings
_STIFF = 0.05  # ridge term: the larger, the less a landmark that contradicts its neighbours is followed
_GAIN = (0.5, 2.0)  # bounds of the factor on the spread of colours
_FOLDS = 1.5  # an image that shrinks by more than this is downsampled by averaging first


class Donor(NamedTuple):
    """A face that is blended over another one.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        landmarks: (68, 2) in pixels of the image.
    """

    image: ImageArray
    landmarks: Landmarks


def poses(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Landmarks normalised for position, size and roll: faces of similar pose and expression are near each other.

    Args:
        landmarks: (N, 68, 2) of faces.

    Returns:
        (N, 68, 2), each face of norm 1.
    """
    centred = landmarks - landmarks.mean(axis=1, keepdims=True)
    across = centred[:, RIGHT_EYE].mean(axis=1) - centred[:, LEFT_EYE].mean(axis=1)
    cos, sin = (across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)).T  # (N,) each
    # one 2×2 rotation a face, (N, 2, 2), which levels the line between its eyes
    turned = np.einsum("nij,npj->npi", np.array([[cos, sin], [-sin, cos]]).transpose(2, 0, 1), centred)
    lengths = np.sqrt((turned**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(turned / np.maximum(lengths, 1e-6), dtype=np.float32)


def worn(donor: Donor, landmarks: Landmarks, rows: slice, columns: slice, *, follow: float) -> ImageArray:
    """Fills a region of a target's image with the face of a donor.

    One affine map brings the donor's landmarks near the target's; the remaining distances are interpolated over the
    region (Gaussian kernels with ridge regression).

    Args:
        donor: Another person's face.
        landmarks: (68, 2) of the target.
        rows: Rows of the region in the target's image.
        columns: Columns of the region in the target's image.
        follow: How closely the donor's landmarks are moved onto the target's: 0 affine only, 1 all the way.

    Returns:
        (rows, columns, 3) uint8.
    """
    unit, middle = float(np.ptp(landmarks, axis=0).max()), landmarks.mean(axis=0)
    shrinks = float(np.ptp(donor.landmarks, axis=0).max()) / unit
    if shrinks > _FOLDS:
        donor = _smaller(donor, shrinks)
    at = ((landmarks - middle) / unit).astype(np.float64)  # (68, 2) in faces, about the middle of the target
    affine, *_ = np.linalg.lstsq(_with_one(at), donor.landmarks.astype(np.float64), rcond=None)  # (3, 2)
    rest = donor.landmarks - _with_one(at) @ affine  # (68, 2) residuals in the donor's pixels
    weights = np.linalg.solve(_nearness(at, at) + _STIFF * np.eye(len(at)), follow * rest)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    across = (np.linspace(columns.start, columns.stop - 1, _GRID) - middle[0]) / unit
    down = (np.linspace(rows.start, rows.stop - 1, _GRID) - middle[1]) / unit
    grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)  # (G², 2) nodes, in faces
    places = _with_one(grid) @ affine + _nearness(grid, at) @ weights  # (G², 2) where each node samples the donor
    fine = np.array([[(size[0] - 1) / (_GRID - 1), 0, 0], [0, (size[1] - 1) / (_GRID - 1), 0]])
    coarse = places.reshape(_GRID, _GRID, 2).astype(np.float32)
    where = cv2.warpAffine(coarse, fine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    filled = cv2.remap(donor.image, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]
    return np.asarray(filled, dtype=np.uint8)


def coloured_like(source: ImageArray, target: ImageArray, mask: Mask, amount: float) -> ImageArray:
    """Matches the mean and spread of a source's colours to the target's (Reinhard et al. 2001, here on RGB).

    Args:
        source: (H, W, 3) uint8.
        target: (H, W, 3) uint8.
        mask: (H, W); pixels above half of its maximum are compared.
        amount: 0 leaves the source unchanged, 1 matches it fully.
    """
    inside = np.asarray(mask > mask.max() / 2, dtype=np.uint8)
    (has, spread), (wanted, width) = (
        [np.asarray(value)[:, 0] for value in cv2.meanStdDev(one, mask=inside)] for one in (source, target)
    )
    gain = 1 + amount * (np.clip(width / np.maximum(spread, 1), *_GAIN) - 1)
    matrix = np.column_stack([np.diag(gain), has + amount * (wanted - has) - gain * has])
    return np.asarray(cv2.transform(source, matrix), dtype=np.uint8)


def _smaller(donor: Donor, factor: float) -> Donor:
    """Shrinks a donor by a factor, since sampling it directly would alias high frequencies."""
    height, width = donor.image.shape[:2]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    image = np.asarray(cv2.resize(donor.image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    # pixel centres: x_small = (x_large + 1/2) / factor - 1/2
    landmarks = (donor.landmarks + 0.5) * (np.array(size) / (width, height)) - 0.5
    return Donor(image, landmarks.astype(np.float32))


def _with_one(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([landmarks, np.ones(len(landmarks))])


def _nearness(landmarks: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) Gaussian kernel: 1 where two landmarks coincide, falling to 0 a few `_REACH` apart."""
    apart = (landmarks**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * landmarks @ others.T
    return np.asarray(np.exp(apart / (-2 * _REACH**2)))
