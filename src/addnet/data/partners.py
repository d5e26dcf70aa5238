"""Draws a partner for each image, from another video: with shuffled masks, the image gets its partner's mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.data.hook import PARTNERS, SamplePosition, UnwarpedSample
from addnet.errors import UserError
from addnet.faces.geometry import Landmarks

MASKS_OF = ("own", "other")
FaceOf = Callable[[int], "tuple[tuple[int, ...], Landmarks | None]"]


class Partners:
    """Draws partners from addresses, with equal probability for all images of other videos.

    Args:
        videos: (N,) video of each image.

    Raises:
        UserError: There are fewer than two images.

    Example:
        >>> Partners(["a", "a", "b"]).of(0, (0, 0, 17))
        2
    """

    def __init__(self, videos: Sequence[str] | NDArray[np.int64]) -> None:
        if len(videos) < 2:
            raise UserError(
                f"data.mask_of=other needs at least two images, but there are {len(videos)}; use data.mask_of=own"
            )
        different, numbers = np.unique(np.asarray(videos), return_inverse=True)
        if len(different) == 1:  # no other video: at least another image
            numbers = np.arange(len(videos))
        # images sorted by video; for each image, where its video starts in that order, and how many images it has
        self._order = np.argsort(numbers, kind="stable")
        ordered = numbers[self._order]
        self._first = np.searchsorted(ordered, numbers, side="left")
        self._count = np.searchsorted(ordered, numbers, side="right") - self._first

    def of(self, index: int, address: tuple[int, ...]) -> int:
        """The partner of an image at an address such as (seed, epoch, sample, repeat)."""
        first, count = self._first[index], self._count[index]
        drawn = np.random.default_rng((*address, PARTNERS)).integers(len(self._order) - count)
        return int(self._order[drawn if drawn < first else drawn + count])


class MaskOfOther:
    """A hook that gives each image the mask of its partner.

    Args:
        videos: (N,) video of each image.
        face_of: Number of an image → its shape and landmarks.

    Raises:
        UserError: There are fewer than two images.
    """

    def __init__(self, videos: Sequence[str] | NDArray[np.int64], face_of: FaceOf) -> None:
        self._partners = Partners(videos)
        self._face_of = face_of

    def __call__(self, sample: UnwarpedSample, at: SamplePosition) -> UnwarpedSample:
        """The sample with its partner's shape and landmarks, from which the mask is drawn."""
        return sample._replace(mask_from=self._face_of(self._partners.of(at.record, at.key)))
