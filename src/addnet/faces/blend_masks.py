"""68 landmarks → the mask of a blend: hulls of landmarks, deformed, eroded, with a soft edge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.faces.geometry import EYES, MOUTH, NOSE, Landmarks

HULLS = ("all", "forehead", "no_jaw", "organs", "lower", "some")
_CANVAS = 128  # pixels: side of the canvas that blend masks are drawn on; masks are smooth, so it can be small
_ROOM = 1.5  # side of that canvas over the hulls' longer side: deformed and blurred hulls stay on it
_GRID = 6  # nodes per side of the grid that is moved to deform a hull
_BROWS = slice(17, 27)
_JAW = 17  # the first 17 landmarks
_LOWER = [*range(2, 15), *range(31, 36), *range(48, 68)]  # jaw below the ears, nostrils, mouth
_FOREHEAD = 0.6  # how far brows are raised, over the distance from eyes to mouth
_FEWEST = 8  # fewest landmarks of a hull of kind `some`
_LEVELS = (0.5, 0.95)  # fraction of its maximum at which a blurred hull is thresholded
_NOTHING = 1 / 512  # a smaller weight changes a pixel by less than half a grey level
_SHARPEST = 0.6  # pixels of the canvas: below this sigma, a blurred edge would show steps
_STEEP = 2.5  # √2π: sigmas over which a blurred edge would rise from 0 to 1 at the slope of its middle

Mask = NDArray[np.float32]
Random = np.random.Generator
Range = tuple[float, float]


class PlacedMask(NamedTuple):
    """A blend mask and its place in an image.

    Attributes:
        rows: Rows of the image that the mask covers.
        columns: Columns of the image that the mask covers.
        mask: (rows, columns) float32 in [0, 1]; it is 0 in the rest of the image.
    """

    rows: slice
    columns: slice
    mask: Mask


def hulls_of(kind: str, landmarks: Landmarks, random: Random) -> list[Landmarks]:
    """The sets of landmarks whose hulls are drawn.

    Args:
        kind: One of `HULLS`.
        landmarks: (68, 2).
        random: Chooses organs and random landmarks; it advances by the same amount for every kind.
    """
    chosen = random.random(len(landmarks) + 1)
    if kind == "forehead":
        up = landmarks[EYES].mean(axis=0) - landmarks[MOUTH].mean(axis=0)
        return [np.concatenate([landmarks, landmarks[_BROWS] + np.float32(_FOREHEAD) * up])]
    if kind == "no_jaw":
        return [landmarks[_JAW:]]
    if kind == "organs":
        organs = [landmarks[organ] for organ in (EYES, NOSE, MOUTH)]
        nearest = int(np.argmin(chosen[:3]))
        return [organ for n, organ in enumerate(organs) if chosen[n] < 0.5 or n == nearest]
    if kind == "lower":
        return [landmarks[_LOWER]]
    if kind == "some":
        count = _FEWEST + int(chosen[-1] * (len(landmarks) - _FEWEST + 1))
        return [landmarks[np.argsort(chosen[:-1])[:count]]]
    return [landmarks]


def placed(
    hulls: Sequence[Landmarks],
    shape: tuple[int, ...],
    random: Random,
    *,
    unit: float,
    elastic: float,
    erosion: Range,
    softness: Range,
) -> PlacedMask:
    """Draws hulls as a soft mask in an image; its maximum is 1 unless all of it lies outside.

    Lengths are fractions of the face; for hulls smaller than the face they shrink with the hull, since small hulls
    would otherwise vanish.

    Args:
        hulls: Sets of landmarks in pixels; they may lie outside.
        shape: (H, W, ...) of the image.
        random: Draws deformation, erosion and softness.
        unit: Size of the face in pixels.
        elastic: Standard deviation of the elastic deformation of a hull.
        erosion: Range of the sigma of the blur before a hull is eroded.
        softness: Range of the sigma of the blur of its edge.
    """
    every = np.concatenate(list(hulls))
    low, high = every.min(axis=0), every.max(axis=0)
    scale = _CANVAS / (float((high - low).max()) * _ROOM + 1e-6)  # canvas pixels per image pixel
    corner = (low + high) / 2 - (_CANVAS - 1) / 2 / scale
    outlines = [cv2.convexHull((hull - corner).astype(np.float32) * np.float32(scale)) for hull in hulls]
    canvas = np.zeros((_CANVAS, _CANVAS), dtype=np.uint8)
    for outline in outlines:
        cv2.fillConvexPoly(canvas, np.rint(outline * 16).astype(np.int32), 255, shift=4)
    thinnest = min(cv2.contourArea(outline) for outline in outlines)
    length = min(unit * scale, max(thinnest, 1.0) ** 0.5)
    deformed = _deformed(canvas, elastic * length, random)
    sigma = max(random.uniform(*erosion) * length, _SHARPEST)
    inside = _smaller(
        np.asarray(cv2.GaussianBlur(deformed, (0, 0), sigma), dtype=np.uint8), random.uniform(*_LEVELS), sigma
    )
    soft = cv2.GaussianBlur(inside, (0, 0), max(random.uniform(*softness) * length, _SHARPEST))
    return _in_image(np.asarray(soft * _edge(), dtype=np.float32), corner, scale, shape)


def _in_image(canvas: Mask, corner: NDArray[np.floating], scale: float, shape: tuple[int, ...]) -> PlacedMask:
    """The part of a canvas that lies inside the image, at the image's resolution."""
    columns, rows = (
        _pixels(np.flatnonzero(canvas.max(axis=axis) >= _NOTHING), float(start), scale, most)
        for axis, start, most in ((0, corner[0], shape[1]), (1, corner[1], shape[0]))
    )
    size = (columns.stop - columns.start, rows.stop - rows.start)
    if min(size) < 1:
        return PlacedMask(rows, columns, np.zeros((max(0, size[1]), max(0, size[0])), dtype=np.float32))
    start = corner - (columns.start, rows.start)
    matrix = np.array([[1 / scale, 0, start[0]], [0, 1 / scale, start[1]]])
    mask = np.asarray(cv2.warpAffine(canvas, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.float32)
    mask[mask < _NOTHING] = 0
    return PlacedMask(rows, columns, mask / max(float(mask.max()), _NOTHING))


def _pixels(places: NDArray[np.int64], start: float, scale: float, most: int) -> slice:
    """The image pixels along one axis that the given canvas positions fall on."""
    if not len(places):
        return slice(0, 0)
    first = int(np.floor(start + (places[0] - 1) / scale))
    last = int(np.ceil(start + (places[-1] + 1) / scale))
    return slice(min(max(first, 0), most), min(max(last + 1, 0), most))


def _deformed(canvas: NDArray[np.uint8], deviation: float, random: Random) -> NDArray[np.uint8]:
    """Deforms a canvas by a smooth random displacement field of this standard deviation in pixels."""
    grid = random.standard_normal((_GRID, _GRID, 2), dtype=np.float32) * np.float32(deviation)
    moves = cv2.resize(grid, (_CANVAS, _CANVAS), interpolation=cv2.INTER_CUBIC)
    across, down = _places()
    moved = cv2.remap(canvas, across + moves[..., 0], down + moves[..., 1], cv2.INTER_LINEAR)
    return np.asarray(moved, dtype=np.uint8)


def _smaller(blurred: NDArray[Any], level: float, sigma: float) -> Mask:
    """1 where a blurred hull exceeds a fraction of its maximum, with an edge one pixel wide instead of a step."""
    largest = float(blurred.max())
    pixel = largest / (_STEEP * max(sigma, 1.0))
    return np.asarray(np.clip((blurred - np.float32(level * largest)) / pixel + 0.5, 0, 1), dtype=np.float32)


@cache
def _places() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(S, S) x and y of each pixel of the canvas."""
    down, across = np.indices((_CANVAS, _CANVAS), dtype=np.float32)
    return across, down


@cache
def _edge() -> Mask:
    """(S, S) weights that fall to 0 at the canvas's border, so that no mask ends in a straight line."""
    ramp = np.minimum(1, np.arange(_CANVAS, dtype=np.float32) / (0.08 * _CANVAS))
    ramp = np.minimum(ramp, ramp[::-1])
    return np.asarray(np.minimum.outer(ramp, ramp), dtype=np.float32)
