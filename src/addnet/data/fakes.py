"""Fakes made of real images while they are loaded."""

from __future__ import annotations

from collections.abc import Callable

from addnet.data.donors import Donors
from addnet.data.hook import BLENDS, SamplePosition, UnwarpedSample
from addnet.errors import UserError
from addnet.faces.blend import Blend
from addnet.faces.donors import Donor
from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray
from addnet.index.records import FAKE, REAL

FAKES = GIVEN, SELF_BLENDED, MIXED = ("given", "self_blended", "mixed")
Recipe = Callable[[ImageArray, Landmarks, tuple[int, ...], "Donor | None"], Blend]


def blended_splits(fakes: str, val_fakes: str) -> frozenset[str]:
    """The splits whose fakes are all made of their real images.

    Example:
        >>> blended_splits("self_blended", "given")
        frozenset({'train'})
    """
    chosen = {"train": fakes, "val": val_fakes}
    return frozenset(split for split, kind in chosen.items() if kind == SELF_BLENDED)


class SelfBlends:
    """A hook that turns a real image into one half of its self-blend, if the position requests it.

    Both halves are drawn from the same address. Since the halves of a pair are requested one after the other, each
    blend is made only once.

    Args:
        recipe: Blends an image with itself or a donor, such as `addnet.faces.blend.SelfBlend`.
        donors: Draws a donor for each image; None: each image is blended with itself.
    """

    def __init__(self, recipe: Recipe, donors: Donors | None = None) -> None:
        self._recipe = recipe
        self._donors = donors
        self._last: tuple[tuple[int, tuple[int, ...]], Blend] | None = None

    def __call__(self, sample: UnwarpedSample, at: SamplePosition) -> UnwarpedSample:
        """The requested half of the blend, with its label."""
        if not at.blend:
            return sample
        blend = self.blend(sample, at)
        image, label = (blend.fake, FAKE) if at.blend == "fake" else (blend.real, REAL)
        return sample._replace(image=image, label=label)

    def blend(self, sample: UnwarpedSample, at: SamplePosition) -> Blend:
        """Both halves, and the mask.

        Raises:
            UserError: The image has no landmarks.
        """
        if sample.landmarks is None:
            raise UserError("an image without landmarks can't be blended with itself")
        where = (at.record, at.key)
        if self._last is None or self._last[0] != where:
            donor = self._donors(at, sample.landmarks) if self._donors else None
            self._last = (where, self._recipe(sample.image, sample.landmarks, (*at.key, BLENDS), donor))
        return self._last[1]
