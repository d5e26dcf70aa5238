"""Self-blended fakes: a face laid over itself, so that nothing but the blend tells the two apart.

After Shiohara & Yamasaki 2022 (arXiv 2204.08376): source and target are the same picture; one of the two is changed,
the source is moved a little, and a deformed hull of landmarks says where it lies over the target. Written from the
paper. All lengths are shares of the face, so that pictures of any size are treated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.geometry import EYES, MOUTH, NOSE, Points
from addnet.faces.pictures import Picture
from addnet.faces.tint import TintRanges

HULLS = ("all", "no_jaw", "organs", "some")
_CANVAS = 128  # pixels: side of the canvas that blend masks are made on; they are smooth
_ROOM = 1.3  # side of that canvas over the face's longer side
_GRID = 6  # points a side that are moved to deform a hull
_JAW = 17  # the first so many points
_FEWEST = 8  # points of a hull of some

Mask = NDArray[np.float32]
Random = np.random.Generator


class Blend(NamedTuple):
    """What becomes of a real picture.

    Attributes:
        real: (H, W, 3) uint8, the target: as it was, or changed.
        fake: (H, W, 3) uint8, the source laid over it.
        mask: (H, W) float32 in [0, 1], how much of the source there is.
    """

    real: Picture
    fake: Picture
    mask: Mask


@dataclass(frozen=True)
class SelfBlend:
    """How fakes are made of real pictures; the defaults are those of the paper, in shares of the face.

    Attributes:
        hulls: What is hulled, one of them drawn for each blend: `all` points, `no_jaw` (brows, eyes, nose and mouth),
            `organs` (one or several of eyes, nose, mouth), `some` (a random subset of all points).
        target: Probability that the target is changed instead of the source.
        shift: Most that the source moves, right or left and down or up, in faces.
        scale: Range of the factor on the source's size.
        elastic: Standard deviation of the movement of a hull's parts, in faces.
        erosion: Range of the blur before a hull is cut smaller, in faces.
        softness: Range of the sigma of the mask's blur, in faces.
        strengths: One of these is the largest value of the mask.
        poisson: Probability that gradients are blended instead of colours (Pérez et al. 2003).
        tint: Changes of colour, sharpness and compression.

    Raises:
        UserError: A value is outside its range.
    """

    hulls: Sequence[str] = HULLS
    target: float = 0.5
    shift: tuple[float, float] = (0.04, 0.02)
    scale: tuple[float, float] = (0.95, 1.05)
    elastic: float = 0.03
    erosion: tuple[float, float] = (0.01, 0.06)
    softness: tuple[float, float] = (0.01, 0.06)
    strengths: Sequence[float] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    poisson: float = 0.0
    tint: TintRanges = field(default_factory=TintRanges)

    def __post_init__(self) -> None:
        if unknown := [hull for hull in self.hulls if hull not in HULLS]:
            raise UserError(f"blend.hulls={unknown} is not valid; use some of {', '.join(HULLS)}")
        for name in ("target", "poisson"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"blend.{name}={getattr(self, name)} is a probability; use a number in [0, 1]")
        for name in ("scale", "erosion", "softness"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise UserError(f"blend.{name}=[{low}, {high}] is not a valid range; use [low, high] of at least 0")
        if not self.hulls or not self.strengths or not all(0 < strength <= 1 for strength in self.strengths):
            raise UserError("blend.hulls and blend.strengths need a value each; strengths lie in (0, 1]")
        for one in fields(self):  # lists from YAML would not hash
            if isinstance(value := getattr(self, one.name), list):
                object.__setattr__(self, one.name, tuple(value))

    def __call__(self, picture: Picture, points: Points, address: tuple[int, ...]) -> Blend:
        """Blends a picture with itself.

        Args:
            picture: (H, W, 3) uint8, RGB, of a real face.
            points: (68, 2) in its pixels; they may lie outside.
            address: Decides all that is drawn, such as (seed, epoch, sample, repeat).
        """
        random = np.random.default_rng(address)
        tint = self.tint.draw(random)
        change_target = random.random() < self.target
        real = tint(picture) if change_target else picture
        mask = self._mask(points, picture.shape, random)
        rows, columns = _where(mask)
        if rows.start == rows.stop:  # the face lies outside of the picture
            return Blend(real, real.copy(), mask)
        source = self._moved(picture if change_target else tint(picture), points, random, rows, columns)
        fake = real.copy()
        if random.random() < self.poisson:
            fake[rows, columns] = _poisson(source, real[rows, columns], mask[rows, columns])
        else:
            fake[rows, columns] = _mixed(source, real[rows, columns], mask[rows, columns])
        return Blend(real, fake, mask)

    def _mask(self, points: Points, shape: tuple[int, ...], random: Random) -> Mask:
        """A hull of landmarks, deformed, cut smaller, blurred, in the picture's pixels."""
        side = float(np.ptp(points, axis=0).max()) * _ROOM
        to_canvas = _CANVAS / side
        corner = (points.min(axis=0) + points.max(axis=0) - side) / 2
        canvas = np.zeros((_CANVAS, _CANVAS), dtype=np.uint8)
        for hull in self._hulls((points - corner) * to_canvas, random):
            cv2.fillConvexPoly(canvas, cv2.convexHull(np.rint(hull * 16).astype(np.int32)), 255, shift=4)
        unit = _CANVAS / _ROOM  # pixels of a face
        deformed = _deformed(canvas, self.elastic * unit, random)
        eroded = cv2.GaussianBlur(deformed, (0, 0), max(_between(self.erosion, random) * unit, 0.3))
        level = random.uniform(0.5, 0.95) * float(eroded.max())
        cut = np.asarray(eroded >= max(level, 1.0), dtype=np.float32)
        soft = cv2.GaussianBlur(cut, (0, 0), max(_between(self.softness, random) * unit, 0.3))
        strength = float(random.choice(self.strengths))
        mask = soft * _edge() * (strength / max(float(soft.max()), 1e-6))
        matrix = np.array([[1 / to_canvas, 0, corner[0]], [0, 1 / to_canvas, corner[1]]])
        return np.asarray(cv2.warpAffine(mask, matrix, (shape[1], shape[0]), flags=cv2.INTER_LINEAR), dtype=np.float32)

    def _hulls(self, points: Points, random: Random) -> list[Points]:
        kind = self.hulls[int(random.integers(len(self.hulls)))]
        chosen = random.random(len(points))
        if kind == "no_jaw":
            return [points[_JAW:]]
        if kind == "organs":
            organs = [points[organ] for organ in (EYES, NOSE, MOUTH)]
            return [organ for organ, share in zip(organs, chosen, strict=False) if share < 0.5] or organs[:1]
        if kind == "some":
            count = random.integers(_FEWEST, len(points) + 1)
            return [points[np.argsort(chosen)[:count]]]
        return [points]

    def _moved(self, picture: Picture, points: Points, random: Random, rows: slice, columns: slice) -> Picture:
        """The part of the picture that a mask covers, of a picture that moved a little around the face."""
        side = float(np.ptp(points, axis=0).max())
        scale = _between(self.scale, random)
        right, down = (random.uniform(-most, most) * side for most in self.shift)
        centre = points.mean(axis=0)
        start = (1 - scale) * centre + (right, down) - (columns.start, rows.start)
        matrix = np.array([[scale, 0, start[0]], [0, scale, start[1]]])
        size = (columns.stop - columns.start, rows.stop - rows.start)
        moved = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(moved, dtype=np.uint8)


def _deformed(canvas: NDArray[np.uint8], much: float, random: Random) -> NDArray[np.uint8]:
    """Moves the parts of a canvas by a smooth random field of this standard deviation in pixels."""
    grid = random.standard_normal((_GRID, _GRID, 2), dtype=np.float32) * np.float32(much)
    moves = cv2.resize(grid, (_CANVAS, _CANVAS), interpolation=cv2.INTER_CUBIC)
    down, right = np.indices((_CANVAS, _CANVAS), dtype=np.float32)
    return np.asarray(cv2.remap(canvas, right + moves[..., 0], down + moves[..., 1], cv2.INTER_LINEAR), dtype=np.uint8)


def _edge() -> Mask:
    """Falls to 0 at the canvas's border, so that no mask ends in a line."""
    ramp = np.minimum(1, np.arange(_CANVAS, dtype=np.float32) / (0.08 * _CANVAS))
    ramp = np.minimum(ramp, ramp[::-1])
    return np.asarray(np.minimum.outer(ramp, ramp), dtype=np.float32)


def _where(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns in which a mask isn't 0."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _mixed(source: Picture, target: Picture, mask: Mask) -> Picture:
    share = mask[..., None]
    return np.asarray(np.rint(target + share * (source.astype(np.float32) - target)), dtype=np.uint8)


def _poisson(source: Picture, target: Picture, mask: Mask) -> Picture:
    """Gradients of the source where the mask is more than half its largest value, then mixed by the mask."""
    inside = np.asarray(mask > mask.max() / 2, dtype=np.uint8) * 255
    inside[[0, -1]] = inside[:, [0, -1]] = 0  # the solver needs a border
    if min(inside.shape) < 3 or not inside.any():
        return _mixed(source, target, mask)
    left, top, width, height = cv2.boundingRect(inside)
    centre = (left + width // 2, top + height // 2)
    cloned = cv2.seamlessClone(source, target, inside, centre, cv2.NORMAL_CLONE)
    return _mixed(np.asarray(cloned, dtype=np.uint8), target, mask)


def _between(bounds: tuple[float, float], random: Random) -> float:
    return float(random.uniform(*bounds))
