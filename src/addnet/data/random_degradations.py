"""Random damage to training images: several kinds in random order, drawn from an address."""

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
    """How often and how strongly one kind of damage is applied.

    Attributes:
        p: Probability that it is applied.
        strengths: Range of each strength, in the order of `KINDS`.
    """

    p: float
    strengths: tuple[Range, ...]

    @classmethod
    def of(cls, kind: str, given: Mapping[str, Any]) -> Chance:
        """Checks the settings of a kind in a config.

        Raises:
            UserError: A key is unknown or missing, or a value is not valid.
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
        """Draws a value of each strength, uniformly from its range."""
        shares, known = random.random(len(self.strengths)), KINDS[kind].strengths.values()
        return tuple(
            low + int(share * (high - low + 1)) if strength.whole else low + (high - low) * share
            for share, (low, high), strength in zip(shares.tolist(), self.strengths, known, strict=True)
        )


@dataclass(frozen=True)
class RandomDegradations:
    """A hook that damages images as they are on disk, as distribution does before anybody sees them.

    Each kind is drawn independently, then their order. The same address always yields the same damage, so that both
    halves of a self-blended pair get the same. Nothing moves: landmarks stay where they are.

    Attributes:
        chances: Chance of each kind, by key of `KINDS`; kinds that aren't named are never applied.
        most: Most kinds applied at once; if more are drawn, the first in the drawn order are applied.

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
        """Makes one from a config: `most`, and for each kind `p` and a range of each strength; null disables a kind.

        Raises:
            UserError: A kind or a key is unknown, or a value is not valid.
        """
        if not isinstance(given, Mapping):
            raise UserError(
                f"{_OPTION}={given!r} is not valid; name kinds of damage, as augment=harsh does, or use null"
            )
        kinds = {str(kind): chance for kind, chance in given.items() if kind != "most"}
        for kind, chance in kinds.items():
            require_choice(_OPTION, kind, KINDS)
            if chance is not None and not isinstance(chance, Mapping):
                raise UserError(f"{_OPTION}.{kind}={chance!r} is not valid; set {_OPTION}.{kind}.p, its probability")
        chances = {kind: Chance.of(kind, chance) for kind, chance in kinds.items() if chance is not None}
        return cls(chances, **({"most": given["most"]} if "most" in given else {}))

    def __call__(self, sample: UnwarpedSample, at: SamplePosition) -> UnwarpedSample:
        """The damaged sample, with the same landmarks."""
        return sample._replace(image=self.damaged(sample.image, sample.landmarks, key=at.key))

    def draw(self, key: tuple[int, ...]) -> list[tuple[str, tuple[float, ...]]]:
        """The damage at an address such as (seed, epoch, sample, repeat): kinds with their strengths, in order."""
        return [(kind, values) for kind, values, _ in self._drawn(key)]

    def damaged(self, image: ImageArray, landmarks: Landmarks | None, *, key: tuple[int, ...]) -> ImageArray:
        """The image with the damage at an address.

        Args:
            image: (H, W, 3) uint8; not modified.
            landmarks: (68, 2) in its pixels; without them no organ is covered.
            key: (seed, epoch, sample, repeat).

        Returns:
            (H, W, 3) uint8; the image itself if nothing is applied.
        """
        for kind, values, random in self._drawn(key):
            image = damage(kind, image, landmarks, random, values)
        return image

    def _drawn(self, key: tuple[int, ...]) -> list[tuple[str, tuple[float, ...], np.random.Generator]]:
        random = np.random.default_rng((*key, DEGRADATIONS))
        # drawn for every kind, chosen or not, so that changing one, or adding one at the end, doesn't affect the others
        drawn = random.random((len(KINDS), 2)).tolist()  # whether it is applied; its place in the order
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
    """The range of a strength; a single number stands for both ends."""
    option, strength = f"{_OPTION}.{kind}.{name}", KINDS[kind].strengths[name]
    pair = given if isinstance(given, Sequence) else (given, given)
    require_range(option, pair, strength.low, strength.high)
    for value in pair:
        require_strength(option, value, strength)  # that it is whole, if it must be
    return pair[0], pair[1]
