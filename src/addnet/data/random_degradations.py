"""Damage of training images: several kinds, in random order, drawn from an address."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from addnet.data.degradations import KINDS, damage, require_strength
from addnet.data.hook import DEGRADATIONS, SamplePosition, UnwarpedSample
from addnet.errors import UserError, require_choice
from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray
from addnet.signatures import require_range, require_within

Range = tuple[float, float]
_OPTION = "augment.degrade"


class Chance(NamedTuple):
    """How often and how strongly one kind of damage happens.

    Attributes:
        p: Probability.
        strengths: Range of each strength, in the order of `KINDS`.
    """

    p: float
    strengths: tuple[Range, ...]

    @classmethod
    def of(cls, kind: str, given: Mapping[str, Any]) -> Chance:
        """Checks what a config says of a kind.

        Raises:
            UserError: A key is unknown or missing, or a value not valid.
        """
        known = KINDS[kind].strengths
        for name in given:
            require_choice(f"{_OPTION}.{kind}", name, ("p", *known))
        if missing := [name for name in ("p", *known) if name not in given]:
            raise UserError(
                f"{_OPTION}.{kind} needs {' and '.join(missing)}; see configs/augment/harsh.yaml for the usual values"
            )
        p = given["p"]
        require_within(f"{_OPTION}.{kind}.p", p, 0, 1, "a probability")
        if p > 0 and (needs := KINDS[kind].needs):
            needs()
        return cls(p, tuple(_range(kind, name, given[name]) for name in known))

    def draw(self, kind: str, random: np.random.Generator) -> tuple[float, ...]:
        """A value of each strength, those in between as often."""
        shares, known = random.random(len(self.strengths)), KINDS[kind].strengths.values()
        return tuple(
            low + int(share * (high - low + 1)) if strength.whole else low + (high - low) * share
            for share, (low, high), strength in zip(shares.tolist(), self.strengths, known, strict=True)
        )


@dataclass(frozen=True)
class RandomDegradations:
    """A hook that damages images as they lie on disk: what they meet before anybody looks at them.

    Which kinds happen is drawn for each by itself, then their order. The same address always gives the same damage, so
    that both halves of a self-blended pair get the same. Nothing moves: landmarks stay where they are.

    Attributes:
        chances: By kind, a key of `KINDS`; those that aren't named never happen.
        most: At most so many at once; of more, those that come first in the drawn order.

    Raises:
        UserError: `most` is not valid.

    Example:
        >>> grey = RandomDegradations.of({"grey": {"p": 1.0, "amount": [1, 1]}})
        >>> grey.damaged(np.full((1, 1, 3), (255, 0, 0), np.uint8), None, key=(0, 0, 17, 0)).tolist()
        [[[76, 76, 76]]]
    """

    chances: Mapping[str, Chance]
    most: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.most, int) or isinstance(self.most, bool) or self.most < 1:
            raise UserError(f"{_OPTION}.most={self.most!r} must be a whole number of at least 1")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RandomDegradations:
        """From a config: `most`, and for each kind `p` and a range of each strength; null leaves a kind out.

        Raises:
            UserError: A kind or a key is unknown, or a value not valid.
        """
        if not isinstance(given, Mapping):
            raise UserError(
                f"{_OPTION}={given!r} is not valid; name kinds of damage, such as augment=harsh has, or null"
            )
        kinds = {str(kind): chance for kind, chance in given.items() if kind != "most"}
        for kind, chance in kinds.items():
            require_choice(_OPTION, kind, KINDS)
            if chance is not None and not isinstance(chance, Mapping):
                raise UserError(f"{_OPTION}.{kind}={chance!r} is not valid; set {_OPTION}.{kind}.p, its probability")
        chances = {kind: Chance.of(kind, chance) for kind, chance in kinds.items() if chance is not None}
        return cls(chances, **({"most": given["most"]} if "most" in given else {}))

    def __call__(self, sample: UnwarpedSample, at: SamplePosition) -> UnwarpedSample:
        """The damaged sample, its landmarks where they were."""
        return sample._replace(image=self.damaged(sample.image, sample.landmarks, key=at.key))

    def draw(self, key: tuple[int, ...]) -> list[tuple[str, tuple[float, ...]]]:
        """What happens at an address such as (seed, epoch, sample, repeat): kinds with their strengths, in order."""
        return [(kind, values) for kind, values, _ in self._drawn(key)]

    def damaged(self, image: ImageArray, landmarks: Landmarks | None, *, key: tuple[int, ...]) -> ImageArray:
        """An image after what happens at an address.

        Args:
            image: (H, W, 3) uint8; left as it is.
            landmarks: (68, 2) in its pixels; without them no organ is covered.
            key: Seed, epoch, number of the sample, repeat.

        Returns:
            (H, W, 3) uint8; the image itself where nothing happens.
        """
        for kind, values, random in self._drawn(key):
            image = damage(kind, image, landmarks, random, values)
        return image

    def _drawn(self, key: tuple[int, ...]) -> list[tuple[str, tuple[float, ...], np.random.Generator]]:
        random = np.random.default_rng((*key, DEGRADATIONS))
        # for every kind, chosen or not, so that changing one, or a new one at the end, leaves the others alone
        drawn = random.random((len(KINDS), 2)).tolist()
        chosen = [
            (place, kind)
            for kind, (share, place) in zip(KINDS, drawn, strict=True)
            if kind in self.chances and share < self.chances[kind].p
        ]
        return [(kind, *self._values(kind, key)) for _, kind in sorted(chosen)[: self.most]]

    def _values(self, kind: str, key: tuple[int, ...]) -> tuple[tuple[float, ...], np.random.Generator]:
        random = np.random.default_rng((*key, DEGRADATIONS, zlib.crc32(kind.encode())))
        return self.chances[kind].draw(kind, random), random


def _range(kind: str, name: str, given: Any) -> Range:
    """Two values of a strength; one number stands for both."""
    option, strength = f"{_OPTION}.{kind}.{name}", KINDS[kind].strengths[name]
    pair = given if isinstance(given, Sequence) else (given, given)
    require_range(option, pair, strength.low, strength.high)
    for value in pair:
        require_strength(option, value, strength)  # whole numbers
    return pair[0], pair[1]
