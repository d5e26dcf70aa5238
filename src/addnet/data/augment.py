"""Random changes of a training picture, drawn from an address instead of a stream."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.geometry import Jitter
from addnet.faces.pictures import Picture

Range = tuple[float, float]
_LEVELS = np.arange(256, dtype=np.float64)
_LUMA = np.array([0.299, 0.587, 0.114])  # of R, G, B: ITU-R BT.601
_T = TypeVar("_T")


@dataclass(frozen=True)
class Photometric:
    """Changes of the pixels alone; None or 1.0 leaves a picture as it is.

    Attributes:
        brightness: Factor on the values.
        contrast: Factor on the distance from the mean.
        saturation: Factor on the distance from grey.
        jpeg: Quality of a JPEG round trip.
        blur: Sigma of a Gaussian blur in pixels.
        noise: Standard deviation of Gaussian noise in grey levels (of 255).
        noise_seed: Seeds the noise.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    jpeg: int | None = None
    blur: float | None = None
    noise: float | None = None
    noise_seed: int = 0

    def __call__(self, picture: Picture) -> Picture:
        """Applies them in the order above, but the JPEG round trip last: (S, S, 3) uint8 → the same."""
        if self.brightness != 1 or self.contrast != 1:
            picture = _uint8(cv2.LUT(picture, self.levels(picture)))
        if self.saturation != 1:
            mixing = self.saturation * np.eye(3) + (1 - self.saturation) * np.tile(_LUMA, (3, 1))
            picture = _uint8(cv2.transform(picture, mixing))
        if self.blur is not None:
            width = 2 * int(np.ceil(2 * self.blur)) + 1
            picture = _uint8(cv2.GaussianBlur(picture, (width, width), self.blur))
        if self.noise is not None:
            random = np.random.default_rng(self.noise_seed)
            noise = random.standard_normal(picture.shape, dtype=np.float32) * self.noise
            picture = _uint8(np.clip(np.rint(picture + noise), 0, 255))
        if self.jpeg is not None:
            picture = _jpeg(picture, self.jpeg)
        return picture

    def levels(self, picture: Picture) -> NDArray[np.uint8]:
        """What brightness and contrast make of each grey level: (256,)."""
        mean = float(_LUMA @ cv2.mean(picture)[:3]) if self.contrast != 1 else 0.0
        return np.clip(np.rint((mean + (_LEVELS - mean) * self.contrast) * self.brightness), 0, 255).astype(np.uint8)

    @property
    def only_levels(self) -> bool:
        """Whether nothing but brightness and contrast changes."""
        return self.saturation == 1 and self.blur is None and self.noise is None and self.jpeg is None


@dataclass(frozen=True)
class Augment:
    """What may happen to a training picture; the defaults change nothing.

    Attributes:
        flip: Probability of a mirror image.
        rotation: Largest rotation to either side in degrees.
        scale: Range of the factor on the content's size.
        shift: Largest movement in either direction, in sides of the picture.
        brightness: Range of the factor on brightness.
        contrast: Range of the factor on contrast.
        saturation: Range of the factor on saturation.
        jpeg: Range of JPEG qualities.
        jpeg_p: Probability of a JPEG round trip.
        blur: Range of the blur's sigma in pixels.
        blur_p: Probability of a blur.
        noise: Range of the noise's standard deviation in grey levels.
        noise_p: Probability of noise.
        mask_dropout: Probability that the attention mask is left out: replaced by ones.
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

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, tuple):
                if len(value) != 2 or value[0] > value[1]:
                    raise UserError(f"augment.{field.name}={value!r} must be a range [low, high]")
                object.__setattr__(self, field.name, tuple(value))  # YAML gives lists
            elif (field.name in ("flip", "mask_dropout") or field.name.endswith("_p")) and not 0 <= value <= 1:
                raise UserError(f"augment.{field.name}={value!r} is a probability; it must lie in [0, 1]")

    def draw(self, address: tuple[int, ...]) -> tuple[Jitter, Photometric, bool]:
        """What happens to the sample at an address such as (seed, epoch, sample, repeat).

        The same address always gives the same change, whichever worker, rank or resumed run asks. Every value
        is drawn whether it is used or not, so that changing one range leaves the other draws alone.

        Returns:
            Movement, change of the pixels, and whether the mask is left out.
        """
        random = np.random.default_rng(address)
        jitter = Jitter(
            flip=bool(random.random() < self.flip),
            angle=random.uniform(-self.rotation, self.rotation),
            scale=random.uniform(*self.scale),
            shift=(random.uniform(-self.shift, self.shift), random.uniform(-self.shift, self.shift)),
        )
        photometric = Photometric(
            brightness=random.uniform(*self.brightness),
            contrast=random.uniform(*self.contrast),
            saturation=random.uniform(*self.saturation),
            jpeg=_maybe(random, self.jpeg_p, round(random.uniform(*self.jpeg))),
            blur=_maybe(random, self.blur_p, random.uniform(*self.blur)),
            noise=_maybe(random, self.noise_p, random.uniform(*self.noise)),
            noise_seed=int(random.integers(2**63)),
        )
        return jitter, photometric, bool(random.random() < self.mask_dropout)


def _jpeg(picture: Picture, quality: int) -> Picture:
    """A JPEG round trip."""
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _uint8(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB))


def _uint8(values: Any) -> Picture:
    return np.asarray(values, dtype=np.uint8)


def _maybe(random: np.random.Generator, probability: float, value: _T) -> _T | None:
    return value if random.random() < probability else None
