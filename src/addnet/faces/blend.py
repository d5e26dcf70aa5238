"""Blended fakes: a real face blended with itself or with another person's, so that only the blend distinguishes them.

After Shiohara & Yamasaki 2022 (arXiv 2204.08376): source and target are the same image; one of the two is altered, the
source is moved slightly, and a deformed hull of landmarks determines where it covers the target. If a donor is given,
the source is the donor's face (`donors.py`). Written from the papers. All lengths are fractions of the face, so that
images of any size are treated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError, require_choice
from addnet.faces.blend_masks import HULLS, Mask, PlacedMask, Random, hulls_of, placed
from addnet.faces.damage.codecs import jpeg
from addnet.faces.donors import Donor, coloured_like, worn
from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray
from addnet.faces.tint import TintRanges
from addnet.signatures import require_range, require_within

_SMALLEST = 8  # pixels: the smallest face that can be blended
_BLEED = 12  # grey levels by which the difference at a border may deviate from the median difference
_SEEN = 0.25  # fraction of a hull's box that has to lie inside the image


class Blend(NamedTuple):
    """A real image and the fake made from it.

    Attributes:
        real: (H, W, 3) uint8, the target, unchanged or altered.
        fake: (H, W, 3) uint8, the source blended over the target.
        mask: (H, W) float32 in [0, 1], the weight of the source. Where it is 0, both images are equal, except within
            the 16-pixel blocks of a JPEG round trip.
    """

    real: ImageArray
    fake: ImageArray
    mask: Mask


@dataclass(frozen=True)
class SelfBlend:
    """Makes fakes from real images; `configs/blend/` lists the same defaults. Lengths are fractions of the face.

    Attributes:
        hulls: Kinds of hull, one of which is drawn for each blend; a kind listed twice is drawn twice as often. `all`
            landmarks; `forehead`: with the brows raised; `no_jaw`: brows, eyes, nose and mouth; `organs`: one or
            several of eyes, nose and mouth; `lower`: from the nostrils down; `some`: a random subset of all landmarks.
        target: Probability that the target is altered instead of the source.
        shift: Maximum movement of the source, horizontally and vertically.
        scale: Range of the factor on the source's size.
        elastic: Standard deviation of the elastic deformation of a hull.
        erosion: Range of the sigma of the blur before a hull is eroded.
        softness: Range of the sigma of the blur of the mask's edge.
        strengths: The largest value of the mask is one of these.
        poisson: Probability that gradients are blended instead of colours (Pérez et al. 2003).
        donors: Probability that the source is another person's face, if a donor is available.
        follow: Range of how closely a donor's landmarks are warped onto the target's; 0: one affine map only.
        matched: Range of how closely a donor's colours are matched to the target's.
        tint: Changes of colour, sharpness and compression.
        saved: Range of qualities of a JPEG round trip of both images, as if they had been saved afterwards: otherwise
            the compression blocks of the original file would give a real image away.
        saved_p: Probability of that round trip.

    Raises:
        UserError: A value is outside its range.
    """

    hulls: Sequence[str] = ("all", "forehead", "no_jaw", "organs", "some")
    target: float = 0.5
    shift: tuple[float, float] = (0.04, 0.02)
    scale: tuple[float, float] = (0.95, 1.05)
    elastic: float = 0.03
    erosion: tuple[float, float] = (0.01, 0.06)
    softness: tuple[float, float] = (0.01, 0.06)
    strengths: Sequence[float] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    poisson: float = 0.0
    donors: float = 0.0
    follow: tuple[float, float] = (0.3, 1.0)
    matched: tuple[float, float] = (0.5, 1.0)
    tint: TintRanges = field(default_factory=TintRanges)
    saved: tuple[int, int] = (40, 100)
    saved_p: float = 0.5

    def __post_init__(self) -> None:
        for name in ("hulls", "strengths"):
            if not isinstance(value := getattr(self, name), Sequence) or isinstance(value, str) or not len(value):
                raise UserError(f"blend.{name}={value!r} is not valid; use a list of at least one")
        for hull in self.hulls:
            require_choice("blend.hulls", hull, HULLS)
        for strength in self.strengths:
            require_within("blend.strengths", strength, 0.01, 1, "numbers")
        for name in ("target", "poisson", "donors", "saved_p"):
            require_within(f"blend.{name}", getattr(self, name), 0, 1, "a probability")
        shift: object = self.shift
        if not isinstance(shift, Sequence) or isinstance(shift, str) or len(shift) != 2:
            raise UserError(f"blend.shift={shift!r} is not valid; use two shares of the face, such as [0.04, 0.02]")
        for limit in shift:
            require_within("blend.shift", limit, 0, 0.5, "shares of the face")
        require_range("blend.scale", self.scale, 0.5, 2)
        require_within("blend.elastic", self.elastic, 0, 0.2, "a share of the face")
        for name in ("erosion", "softness"):
            require_range(f"blend.{name}", getattr(self, name), 0, 0.3)
        for name in ("follow", "matched"):
            require_range(f"blend.{name}", getattr(self, name), 0, 1)
        require_range("blend.saved", self.saved, 1, 100)
        if not isinstance(self.tint, TintRanges):
            raise UserError(f"blend.tint={self.tint!r} is not valid; use the keys that configs/blend/sbi.yaml shows")
        for one in fields(self):  # lists from YAML would not hash
            if isinstance(value := getattr(self, one.name), Sequence):
                object.__setattr__(self, one.name, tuple(value))

    def __call__(
        self, image: ImageArray, landmarks: Landmarks, address: tuple[int, ...], donor: Donor | None = None
    ) -> Blend:
        """Blends an image with itself, or with another person's face.

        Args:
            image: (H, W, 3) uint8, RGB, of a real face.
            landmarks: (68, 2) in pixels of the image; they may lie outside.
            address: Seeds every random choice, such as (seed, epoch, sample, repeat).
            donor: Another person's face to use as the source; None: the image itself.

        Raises:
            UserError: The face is too small, or lies outside the image.
        """
        random = np.random.default_rng(address)
        unit = float(np.ptp(landmarks, axis=0).max())
        if not unit >= _SMALLEST:
            raise UserError(f"a face of {unit:.0f} pixels can't be blended; at least {_SMALLEST} are needed")
        tint = self.tint.draw(random, unit)
        change_target = random.random() < self.target
        rows, columns, mask = self._place(landmarks, image.shape, unit, random)
        mask *= np.float32(self.strengths[int(random.integers(len(self.strengths)))])
        if donor is None:
            source = self._moved(image, landmarks, unit, random, rows, columns)
        else:
            follow, amount = random.uniform(*self.follow), random.uniform(*self.matched)
            source = worn(donor, landmarks, rows, columns, follow=follow)
            source = coloured_like(source, image[rows, columns], mask, amount)
        real = tint(image) if change_target else image
        below = real[rows, columns]
        fake = real.copy()
        paste = _poisson if random.random() < self.poisson else _mixed
        fake[rows, columns] = paste(source if change_target else tint(source), below, mask)
        whole = np.zeros(image.shape[:2], dtype=np.float32)
        whole[rows, columns] = mask
        if random.random() < self.saved_p:
            quality = round(float(random.uniform(*self.saved)))
            real, fake = jpeg(real, quality), jpeg(fake, quality)
        return Blend(real, fake, whole)

    def _place(self, landmarks: Landmarks, shape: tuple[int, ...], unit: float, random: Random) -> PlacedMask:
        """The mask of the first kind of hull, in random order, of which enough lies inside the image."""
        for which in random.permutation(len(self.hulls)).tolist():
            hulls = hulls_of(self.hulls[which], landmarks, random)
            if _share_inside(np.concatenate(hulls), shape) < _SEEN:
                continue
            how = {"erosion": self.erosion, "softness": self.softness}
            mask = placed(hulls, shape, random, unit=unit, elastic=self.elastic, **how)
            if mask.mask.size and mask.mask.max() > 0:
                return mask
        raise UserError("a face that lies outside the image can't be blended")

    def _moved(
        self, image: ImageArray, landmarks: Landmarks, unit: float, random: Random, rows: slice, columns: slice
    ) -> ImageArray:
        """The part of the image under a mask, after the image was scaled about the face and moved slightly."""
        scale = float(random.uniform(*self.scale))
        moves = [float(random.uniform(-most, most)) * unit for most in self.shift]
        start = (1 - scale) * landmarks.mean(axis=0) + moves - (columns.start, rows.start)
        matrix = np.array([[scale, 0, start[0]], [0, scale, start[1]]])
        size = (columns.stop - columns.start, rows.stop - rows.start)
        moved = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(moved, dtype=np.uint8)


def _share_inside(landmarks: Landmarks, shape: tuple[int, ...]) -> float:
    """Fraction of the box around landmarks that lies inside an image."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    inside = np.clip(np.minimum(high, (shape[1], shape[0])) - np.maximum(low, 0), 0, None)
    return float(np.prod(inside / np.maximum(high - low, 1e-6)))


def _mixed(source: ImageArray, target: ImageArray, mask: Mask) -> ImageArray:
    return np.asarray(cv2.blendLinear(source, target, mask, 1 - mask), dtype=np.uint8)


def _poisson(source: ImageArray, target: ImageArray, mask: Mask) -> ImageArray:
    """Clones gradients of the source where the mask exceeds half its maximum, then mixes by the mask."""
    inside = np.asarray(mask > mask.max() / 2, dtype=np.uint8) * np.uint8(255)
    inside[[0, -1]] = inside[:, [0, -1]] = 0  # the solver needs a border
    if min(inside.shape) < 3 or not inside.any():
        return _mixed(source, target, mask)
    left, top, width, height = cv2.boundingRect(inside)
    centre = (left + width // 2, top + height // 2)
    cloned = cv2.seamlessClone(source, _alike(target, source, inside), inside, centre, cv2.NORMAL_CLONE)
    return _mixed(np.asarray(cloned, dtype=np.uint8), target, mask)


def _alike(target: ImageArray, source: ImageArray, inside: NDArray[np.uint8]) -> ImageArray:
    """A target whose difference from the source is nearly the same everywhere.

    Poisson blending spreads the difference along the border over the whole face: where the border is background in one
    image and skin in the other, the face would take on the background's colour.
    """
    difference = target.astype(np.int16) - source  # (H, W, 3)
    middle = np.median(difference[inside > 0], axis=0)  # (3,)
    return np.asarray(np.clip(source + np.clip(difference, middle - _BLEED, middle + _BLEED), 0, 255), dtype=np.uint8)
