"""The one place where a training sample may change before it is warped: image, landmarks, mask and label.

A hook is called for each sample with its address, and draws from that alone: workers, ranks, an interruption and a
resume change nothing. Self-blended fakes (`fakes.py`), degradations (`degradations.py`) and the masks of others
(`partners.py`) are hooks.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray

# last part of the seed of each kind of draw; augmentation draws from the address itself
PARTNERS, BLENDS, DEGRADATIONS, DONORS = 1, 2, 3, 4


class UnwarpedSample(NamedTuple):
    """A sample before the warp.

    Attributes:
        image: (H, W, 3) uint8, RGB, as it lies on disk.
        landmarks: (68, 2) in its pixels; None without a face.
        label: 0 real, 1 fake, -1 unknown.
        mask_from: Shape and landmarks of another image, whose mask it gets; None: its own.
    """

    image: ImageArray
    landmarks: Landmarks | None
    label: int
    mask_from: tuple[tuple[int, ...], Landmarks | None] | None = None


class SamplePosition(NamedTuple):
    """Where a sample stands; all that a hook may draw from.

    Attributes:
        record: Number of its record.
        key: Seed, epoch, number made of its path, repeat: seeds what is drawn, with one of the numbers above behind it.
        blend: `real` or `fake`: that half of its self-blend is wanted; empty: the image itself.
    """

    record: int
    key: tuple[int, ...]
    blend: str = ""


class Hook(Protocol):
    """Changes a sample before it is warped."""

    def __call__(self, sample: UnwarpedSample, at: SamplePosition) -> UnwarpedSample:
        """The changed sample; arrays that come in are left as they are.

        Args:
            sample: As it lies on disk, or as the hook before left it.
            at: Its address.

        Raises:
            UserError: It can't be done with this sample; its row of the batch is marked invalid.
        """
