"""Another person's face for a blend: drawn from an address, with nearly the same pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.data.hook import DONORS, SamplePosition
from addnet.errors import UserError
from addnet.faces.donors import Donor, poses
from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray

_CANDIDATES = 32  # faces drawn at random; the one with the nearest pose becomes the donor


class Donors:
    """Draws donors from addresses.

    Args:
        share: Probability that a face gets a donor.
        rows: (M,) numbers of the images that may be donors: real ones with landmarks.
        landmarks: (68, 2) of each image.
        groups: (N,) group of each image; a donor is of another group.
        read: Number of an image → (H, W, 3) uint8.
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
        """The donor for an image at an address; None if it is to be blended with itself, or no donor was found.

        Args:
            at: Position of the image.
            landmarks: (68, 2) of the image.
        """
        random = np.random.default_rng((*at.key, DONORS))
        if random.random() >= self._share:
            return None
        drawn = self._rows[random.integers(len(self._rows), size=_CANDIDATES)]
        others = [row for row in drawn.tolist() if self._groups[row] != self._groups[at.record]]
        known = [(row, theirs) for row in others if (theirs := self._landmarks[row]) is not None]
        if not known:
            return None
        pose = poses(np.stack([landmarks, *(theirs for _, theirs in known)]))  # the first is that of the image itself
        nearest = int(((pose[1:] - pose[0]) ** 2).sum(axis=(1, 2)).argmin())
        try:
            row, theirs = known[nearest]
            return Donor(self._read(row), theirs)
        except UserError:  # damaged since it was indexed
            return None
