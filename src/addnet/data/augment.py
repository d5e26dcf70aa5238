"""Random augmentation of training images, drawn from an address instead of a random stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from addnet.data.random_degradations import RandomDegradations
from addnet.errors import UserError
from addnet.faces.damage.codecs import jpeg
from addnet.faces.damage.colours import lit, saturated
from addnet.faces.damage.noise import gaussian
from addnet.faces.damage.optics import blurred
from addnet.faces.geometry import Jitter
from addnet.faces.images import ImageArray

Range = tuple[float, float]


@dataclass(frozen=True)
class Photometric:
    """Changes of pixel values, without any movement; None or 1.0 leaves an image as it is.

    Attributes:
        brightness: Factor for the values.
        contrast: Factor for the distance from the mean.
        saturation: Factor for the distance from grey.
        jpeg: Quality of a JPEG round trip.
        blur: Sigma of a Gaussian blur in pixels.
        noise: Standard deviation of Gaussian noise in grey levels (of 255).
        noise_seed: Seed of the noise.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    jpeg: int | None = None
    blur: float | None = None
    noise: float | None = None
    noise_seed: int = 0

    def __call__(self, image: ImageArray, *, out: ImageArray | None = None) -> ImageArray:
        """Applies the changes in the order above, except that the JPEG round trip is last.

        Args:
            image: (S, S, 3) uint8.
            out: (S, S, 3) uint8 to which the result is written; may be the image itself.
        """
        result = image
        if self.brightness != 1 or self.contrast != 1:
            result = lit(result, brightness=self.brightness, contrast=self.contrast, out=out)
        if self.saturation != 1:
            result = saturated(result, self.saturation)
        if self.blur is not None:
            result = blurred(result, self.blur)
        if self.noise is not None:
            result = gaussian(result, self.noise, np.random.default_rng(self.noise_seed))
        if self.jpeg is not None:
            result = jpeg(result, self.jpeg)
        if out is None or result is out:
            return result
        out[:] = result
        return out


@dataclass(frozen=True)
class Augment:
    """The augmentation of training images; the defaults change nothing.

    Attributes:
        flip: Probability of a horizontal flip.
        rotation: Largest rotation to either side in degrees.
        scale: Range of the factor for the size of the content.
        shift: Largest shift in either direction, as a fraction of the image's side.
        brightness: Range of the factor for brightness.
        contrast: Range of the factor for contrast.
        saturation: Range of the factor for saturation.
        jpeg: Range of JPEG qualities.
        jpeg_p: Probability of a JPEG round trip.
        blur: Range of the blur's sigma in pixels.
        blur_p: Probability of a blur.
        noise: Range of the noise's standard deviation in grey levels.
        noise_p: Probability of noise.
        mask_dropout: Probability that the attention mask is replaced by ones.
        degrade: Damage to the image as it is on disk, before all the other changes: a `RandomDegradations`, or its
            arguments by name; None: no damage.

    Raises:
        UserError: A range or a probability is not valid.
    """

    flip: float = 0.0
    rotation: float = 0.0
    scale: Range = (1.0, 1.0)
    shift: float = 0.0
    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    saturation: Range = (1.0, 1.0)
    jpeg: Range = (40, 100)
    jpeg_p: float = 0.0
    blur: Range = (0.5, 1.5)
    blur_p: float = 0.0
    noise: Range = (1.0, 5.0)
    noise_p: float = 0.0
    mask_dropout: float = 0.0
    degrade: Mapping[str, Any] | RandomDegradations | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, tuple):
                if len(value) != 2 or value[0] > value[1]:
                    raise UserError(f"augment.{field.name}={value!r} is not a valid range; use [low, high]")
                object.__setattr__(self, field.name, tuple(value))  # YAML gives lists
            elif (field.name in ("flip", "mask_dropout") or field.name.endswith("_p")) and not 0 <= value <= 1:
                raise UserError(f"augment.{field.name}={value!r} is not a valid probability; use a number in [0, 1]")
        if self.degrade is not None and not isinstance(self.degrade, RandomDegradations):
            object.__setattr__(self, "degrade", RandomDegradations.of(self.degrade))

    def draw(self, address: tuple[int, ...]) -> tuple[Jitter, Photometric, bool]:
        """Draws the augmentation of the sample at an address such as (seed, epoch, sample, repeat).

        The same address always yields the same augmentation, in whichever worker, rank or resumed run. Every value
        is drawn whether it is used or not, so that changing one range doesn't affect the other draws.

        Returns:
            Movement, change of pixel values, and whether the mask is replaced by ones.
        """
        random = np.random.default_rng(address)
        shares = random.random(15).tolist()
        flip, angle, scale, right, down, brightness, contrast, saturation, *rare, without_mask = shares
        jitter = Jitter(
            flip=flip < self.flip,
            angle=_between(-self.rotation, self.rotation, angle),
            scale=_between(*self.scale, scale),
            shift=(_between(-self.shift, self.shift, right), _between(-self.shift, self.shift, down)),
        )
        jpeg, jpeg_p, blur, blur_p, noise, noise_p = rare
        photometric = Photometric(
            brightness=_between(*self.brightness, brightness),
            contrast=_between(*self.contrast, contrast),
            saturation=_between(*self.saturation, saturation),
            jpeg=round(_between(*self.jpeg, jpeg)) if jpeg_p < self.jpeg_p else None,
            blur=_between(*self.blur, blur) if blur_p < self.blur_p else None,
            noise=_between(*self.noise, noise) if noise_p < self.noise_p else None,
            noise_seed=int(random.integers(2**63)),
        )
        return jitter, photometric, without_mask < self.mask_dropout


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
