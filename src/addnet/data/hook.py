"""Hooks that change a sample before it is warped: its image, landmarks, mask and label.

A hook is called for each sample with its position, and draws random values only from that, so that the number of
workers and ranks, an interruption and a resume change nothing. Self-blended fakes (`fakes.py`), degradations
(`degradations.py`) and the masks of other images (`partners.py`) are hooks.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray

# last part of the seed for each purpose; augmentation uses the key without such a part
PARTNERS, BLENDS, DEGRADATIONS, DONORS = 1, 2, 3, 4


class UnwarpedSample(NamedTuple):
    """A sample before the warp.

    Attributes:
        image: (H, W, 3) uint8, RGB, as it is on disk.
        landmarks: (68, 2) in its pixels; None without a face.
        label: 0 real, 1 fake, -1 unknown.
        mask_from: Shape and landmarks of another image, from which its mask is drawn; None: its own.
    """

    image: ImageArray
    landmarks: Landmarks | None
    label: int
    mask_from: tuple[tuple[int, ...], Landmarks | None] | None = None


class SamplePosition(NamedTuple):
    """The position of a sample in training; a hook draws its random values only from this.

    Attributes:
        record: Number of its record.
        key: (seed, epoch, hash of its path, repeat); with one of the numbers above appended, it seeds a draw.
        blend: `real` or `fake`: this half of its self-blend is requested; empty: the image itself.
    """

    record: int
    key: tuple[int, ...]
    blend: str = ""


class Hook(Protocol):
    """Changes a sample before it is warped."""

    def __call__(self, sample: UnwarpedSample, at: SamplePosition) -> UnwarpedSample:
        """Returns the changed sample; must not modify the arrays it is given.

        Args:
            sample: The sample as it is on disk, or as the previous hook returned it.
            at: Its position.

        Raises:
            UserError: The hook can't be applied to this sample; its row of the batch is marked invalid.
        """
