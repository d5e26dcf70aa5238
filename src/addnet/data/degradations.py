"""The kinds of damage that images suffer in distribution, by name and strength, and the robustness ladder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from addnet.data.hook import SamplePosition, UnwarpedSample
from addnet.errors import UserError, require_choice
from addnet.faces.damage.codecs import coarse_colours, h264, jpeg, require_h264
from addnet.faces.damage.colours import banded, cast, gamma, lit, saturated
from addnet.faces.damage.covers import patched
from addnet.faces.damage.noise import gaussian, salt_and_pepper, speckle
from addnet.faces.damage.optics import blurred, moire, moved, there_and_back, vignetted
from addnet.faces.geometry import Landmarks
from addnet.faces.images import ImageArray
from addnet.faces.occlusion import ORGANS, occlude
from addnet.signatures import require_within

Random = np.random.Generator


class Strength(NamedTuple):
    """The valid values of a number that says how strong a kind of damage is.

    Attributes:
        low: The smallest valid value.
        high: The largest valid value.
        unit: Its unit, in words.
        whole: Whether it must be a whole number.
    """

    low: float
    high: float
    unit: str
    whole: bool = False


class DamageKind(NamedTuple):
    """A kind of damage.

    Attributes:
        strengths: Its strengths by name; a ladder varies the first.
        damage: Called as `damage(image, landmarks, random, *values)`, with the values in the order of the strengths.
        standard: The values that a ladder uses for the strengths after the first.
        needs: Raises a UserError if this machine can't apply it.
    """

    strengths: Mapping[str, Strength]
    damage: Callable[..., ImageArray]
    standard: tuple[float, ...] = ()
    needs: Callable[[], None] | None = None


def _longer(image: ImageArray, percent: float) -> float:
    """This percentage of an image's longer side, in pixels."""
    return percent / 100 * int(max(image.shape[:2]))


def _passed_on(image: ImageArray, passes: int) -> ImageArray:
    """The image scaled and compressed as JPEG in several passes, each one stronger, then encoded as H.264."""
    for number in range(passes):
        image = jpeg(there_and_back(image, 0.75 - 0.05 * number), 75 - 10 * number)
    return h264(image, 28)


def _covered(organ: str, image: ImageArray, landmarks: Landmarks | None, scale: float) -> ImageArray:
    return image if landmarks is None else occlude(image, landmarks, organ, scale=scale)


KINDS: Mapping[str, DamageKind] = {
    "jpeg": DamageKind(
        {"quality": Strength(1, 100, "quality", True), "chroma": Strength(1, 2, "1 is 4:4:4, 2 is 4:2:0", True)},
        lambda image, _, random, quality, chroma: jpeg(image, quality, chroma=chroma),
        standard=(2,),
    ),
    "h264": DamageKind(
        {"quality": Strength(0, 51, "constant rate factor"), "frames": Strength(1, 16, "frames", True)},
        lambda image, _, random, quality, frames: h264(image, quality, frames=frames),
        standard=(3,),
        needs=require_h264,
    ),
    "chroma": DamageKind(
        {"factor": Strength(1, 16, "pixels that share a colour, a side", True)},
        lambda image, _, random, factor: coarse_colours(image, factor),
    ),
    "resize": DamageKind(
        {"factor": Strength(0.01, 4, "factor, then back")},
        lambda image, _, random, factor: there_and_back(image, factor),
    ),
    "compound": DamageKind(
        {"passes": Strength(1, 5, "times resized and compressed", True)},
        lambda image, _, random, passes: _passed_on(image, passes),
        needs=require_h264,
    ),
    "blur": DamageKind(
        {"sigma": Strength(0, 20, "sigma, % of the longer side")},
        lambda image, _, random, sigma: blurred(image, max(_longer(image, sigma), 0.01)),
    ),
    "motion": DamageKind(
        {"length": Strength(0, 20, "length, % of the longer side")},
        lambda image, _, random, length: moved(image, _longer(image, length), angle=random.uniform(0, np.pi)),
    ),
    "noise": DamageKind(
        {"deviation": Strength(0, 255, "standard deviation, grey levels")},
        lambda image, _, random, deviation: gaussian(image, deviation, random),
    ),
    "speckle": DamageKind(
        {"deviation": Strength(0, 2, "standard deviation, share of the value")},
        lambda image, _, random, deviation: speckle(image, deviation, random),
    ),
    "salt": DamageKind(
        {"share": Strength(0, 1, "share of the pixels")},
        lambda image, _, random, share: salt_and_pepper(image, share, random),
    ),
    "cast": DamageKind(
        {"strength": Strength(0, 1, "largest change of a colour, as a share")},
        lambda image, _, random, strength: cast(image, strength, random),
    ),
    "grey": DamageKind(
        {"amount": Strength(0, 1, "share of the colour that is lost")},
        lambda image, _, random, amount: saturated(image, 1 - amount),
    ),
    "banding": DamageKind(
        {"levels": Strength(2, 256, "values a channel", True)},
        lambda image, _, random, levels: banded(image, levels),
    ),
    "gamma": DamageKind(
        {"exponent": Strength(0.05, 20, "exponent, above 1 darker")},
        lambda image, _, random, exponent: gamma(image, exponent),
    ),
    "brightness": DamageKind(
        {"factor": Strength(0, 10, "factor")}, lambda image, _, random, factor: lit(image, brightness=factor)
    ),
    "contrast": DamageKind(
        {"factor": Strength(0, 10, "factor")}, lambda image, _, random, factor: lit(image, contrast=factor)
    ),
    "vignette": DamageKind(
        {"strength": Strength(0, 1, "loss of light in the corners, as a share")},
        lambda image, _, random, strength: vignetted(image, strength, random),
    ),
    "moire": DamageKind(
        {
            "strength": Strength(0, 1, "amplitude, as a share of the value"),
            "period": Strength(0.1, 100, "period of the stripes, % of the longer side"),
        },
        lambda image, _, random, strength, period: moire(image, strength, period=_longer(image, period), random=random),
        standard=(4,),
    ),
    "patches": DamageKind(
        {
            "side": Strength(0, 1, "root of the area, as a share of the shorter side"),
            "count": Strength(1, 16, "patches", True),
        },
        lambda image, _, random, side, count: patched(image, side, count=count, random=random),
        standard=(1,),
    ),
    **{
        organ: DamageKind(
            {"cover": Strength(0, 4, f"cover over the size of the {organ}")},
            lambda image, landmarks, random, scale, organ=organ: _covered(organ, image, landmarks, scale),
        )
        for organ in ORGANS
    },
}
# configs/robustness/ladder.yaml shows the same levels
LADDER: Mapping[str, tuple[float, ...]] = {
    "jpeg": (100, 75, 50, 25, 10),
    "blur": (0.25, 0.5, 1.0, 1.5, 2.0),
    "resize": (0.75, 0.5, 0.35, 0.25, 0.15),
    "noise": (2, 5, 10, 20, 40),
    "brightness": (0.5, 0.75, 1.25, 1.5, 2.0),
    "contrast": (0.25, 0.5, 0.75, 1.5, 2.0),
    **dict.fromkeys(ORGANS, (0.5, 0.75, 1.0, 1.25, 1.5)),
    "h264": (23, 28, 33, 38, 43),
    "motion": (1.0, 2.0, 3.0, 4.0, 6.0),
    "chroma": (2, 4, 8),
    "grey": (0.5, 1.0),
    "compound": (1, 2, 3),
}
UNITS: Mapping[str, str] = {name: next(iter(kind.strengths.values())).unit for name, kind in KINDS.items()}


@dataclass(frozen=True)
class Degradation:
    """One kind of damage at one strength, applied to an image as it is on disk, before it is warped.

    Attributes:
        kind: A key of `KINDS`.
        level: The strength, in the unit that `UNITS` names.

    Raises:
        UserError: The kind is unknown, the level is out of range, or this machine can't apply it.
    """

    kind: str
    level: float

    def __post_init__(self) -> None:
        kind = KINDS[require_choice("robustness", self.kind, KINDS)]
        name = f"robustness.{self.kind}"
        require_strength(name, self.level, next(iter(kind.strengths.values())))
        if kind.needs:
            kind.needs()

    def __call__(self, sample: UnwarpedSample, at: SamplePosition) -> UnwarpedSample:
        """The damaged sample; without landmarks no organ is covered."""
        return sample._replace(image=self.damaged(sample.image, sample.landmarks, seed=at.key[2]))

    def damaged(self, image: ImageArray, landmarks: Landmarks | None, *, seed: int) -> ImageArray:
        """The damaged image.

        Args:
            image: (H, W, 3) uint8.
            landmarks: (68, 2) in its pixels; without them no organ is covered.
            seed: Seed of the random values, such as noise and directions.

        Returns:
            (H, W, 3) uint8.
        """
        kind = KINDS[self.kind]
        return damage(self.kind, image, landmarks, np.random.default_rng(seed), (self.level, *kind.standard))


def damage(
    kind: str, image: ImageArray, landmarks: Landmarks | None, random: Random, values: Sequence[float]
) -> ImageArray:
    """An image after one kind of damage.

    Args:
        kind: A key of `KINDS`.
        image: (H, W, 3) uint8.
        landmarks: (68, 2) in its pixels, or None.
        random: Generator of the random values, such as noise and directions.
        values: The values of the kind's strengths, in their order.
    """
    strengths = KINDS[kind].strengths.values()
    exact = [int(value) if strength.whole else value for value, strength in zip(values, strengths, strict=True)]
    return KINDS[kind].damage(image, landmarks, random, *exact)


def require_strength(option: str, value: Any, strength: Strength) -> None:
    """Checks a value of a strength.

    Raises:
        UserError: The value isn't a number, isn't whole although it must be, or is out of range.
    """
    expected = f"{'a whole number' if strength.whole else 'a number'} ({strength.unit})"
    require_within(option, value, strength.low, strength.high, expected)
    if strength.whole and value != int(value):
        raise UserError(f"{option}={value!r} is not valid; use {expected} in [{strength.low:g}, {strength.high:g}]")


def rungs(kinds: Mapping[str, Sequence[float] | None]) -> Iterator[Degradation]:
    """Yields a degradation for each kind and level, in order; skips kinds without levels.

    Raises:
        UserError: A kind is unknown, a level is out of range, or this machine can't apply it.
    """
    for kind, levels in kinds.items():
        for level in levels or ():
            yield Degradation(kind, level)
