"""Another person's face for a blend: drawn from an address among those of nearly the same pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.data.hook import DONORS, SamplePosition
from addnet.errors import UserError
from addnet.faces.donors import Donor, poses
from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray

_CANDIDATES = 32  # faces that are drawn, of which the one with the nearest pose is taken


class Donors:
    """Draws donors from addresses.

    Args:
        share: Probability that a face gets a donor.
        rows: (M,) numbers of the images that may give a face: real ones with landmarks.
        landmarks: (68, 2) of each image.
        groups: (N,) of each image; a donor is of another group.
        read: Gives an image, (H, W, 3) uint8, by its number.
    """

    def __init__(
        self,
        share: float,
        *,
        rows: NDArray[np.int64],
        landmarks: Sequence[Landmarks | None],
        groups: NDArray[np.int64],
        read: Callable[[int], ImageArray],
    ) -> None:
        self._share = share
        self._rows = rows
        self._landmarks = landmarks
        self._groups = groups
        self._read = read

    def __call__(self, at: SamplePosition, landmarks: Landmarks) -> Donor | None:
        """The donor of an image at an address; None where it is to be blended with itself, or there is no other.

        Args:
            at: Its address.
            landmarks: (68, 2) of the image.
        """
        random = np.random.default_rng((*at.key, DONORS))
        if random.random() >= self._share:
            return None
        drawn = self._rows[random.integers(len(self._rows), size=_CANDIDATES)]
        others = [row for row in drawn.tolist() if self._groups[row] != self._groups[at.record]]
        known = [(row, found) for row in others if (found := self._landmarks[row]) is not None]
        if not known:
            return None
        seen = poses(np.stack([landmarks, *(found for _, found in known)]))
        nearest = int(((seen[1:] - seen[0]) ** 2).sum(axis=(1, 2)).argmin())
        try:
            row, found = known[nearest]
            return Donor(self._read(row), found)
        except UserError:  # broken since it was indexed
            return None
