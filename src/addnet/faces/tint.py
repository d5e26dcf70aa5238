"""Changes of colour, sharpness and compression that make one of two identical images differ from the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.damage.codecs import jpeg
from addnet.faces.damage.optics import there_and_back
from addnet.faces.images import ImageArray
from addnet.signatures import require_range, require_within

Range = tuple[float, float]
Random = np.random.Generator
_SMALLEST = 8  # pixels: smallest side that a face is shrunk to
_MIDDLE = 127.5  # grey level that contrast leaves unchanged
_SHARPENED = 0.005  # faces: sigma of the blur that unsharp masking subtracts
_SHARPEST = 0.5  # pixels: lower limit of that sigma


@dataclass(frozen=True)
class Tint:
    """One change of an image; the defaults leave it unchanged.

    Attributes:
        channels: Grey levels that are added to R, G and B.
        hue: Rotation of all colours about grey, in degrees.
        saturation: Factor on the distance from grey, minus 1.
        brightness: Fraction of 255 that is added.
        contrast: Factor on the distance from middle grey, minus 1.
        shrink: Factor by which the image is downsampled and enlarged again; 1: not at all.
        sharpen: Amount of unsharp masking.
        sigma: Sigma of the blur for unsharp masking, in pixels.
        jpeg: Quality of a JPEG round trip; None: no round trip.
    """

    channels: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hue: float = 0.0
    saturation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    shrink: float = 1.0
    sharpen: float = 0.0
    sigma: float = 1.0
    jpeg: int | None = None

    def __call__(self, image: ImageArray) -> ImageArray:
        """Applies the changes in the order of the attributes.

        Args:
            image: (H, W, 3) uint8, RGB; it is not modified.

        Returns:
            (H, W, 3) uint8; the same array object if nothing changes.
        """
        seen = image
        if any(self.channels) or self.hue or self.saturation or self.brightness or self.contrast:
            seen = cv2.transform(seen, self._colours())  # type: ignore[assignment]
        if self.shrink > 1:
            seen = there_and_back(seen, 1 / self.shrink)
        if self.sharpen:
            blurred = cv2.GaussianBlur(seen, (0, 0), self.sigma)
            seen = cv2.addWeighted(seen, 1 + self.sharpen, blurred, -self.sharpen, 0)  # type: ignore[assignment]
        if self.jpeg is not None:
            seen = jpeg(np.asarray(seen, dtype=np.uint8), self.jpeg)
        return np.asarray(seen, dtype=np.uint8)

    def _colours(self) -> NDArray[np.float32]:
        """All changes of colour as one (3, 4) matrix on (R, G, B, 1).

        Colours are rotated and scaled as vectors around grey: with angles (HSV), nearly grey pixels would jump.
        """
        angle = math.radians(self.hue)
        grey = np.full((3, 3), 1 / 3)
        across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
        turned = math.cos(angle) * (np.eye(3) - grey) + math.sin(angle) * across
        linear = (1 + self.contrast) * (grey + (1 + self.saturation) * turned)
        added = linear @ self.channels + 255 * self.brightness - _MIDDLE * self.contrast
        return np.column_stack([linear, added]).astype(np.float32)


@dataclass(frozen=True)
class TintRanges:
    """Ranges and probabilities from which a `Tint` is drawn; `configs/blend/` lists the same defaults.

    Attributes:
        channels: Largest change of R, G and B in grey levels, up or down; each channel is drawn independently.
        channels_p: Probability of changing the channels.
        hue: Largest rotation in degrees, in either direction.
        saturation: Largest change of saturation, up or down.
        hue_p: Probability of changing hue and saturation.
        brightness: Largest change of brightness as a fraction of 255, up or down.
        contrast: Largest change of contrast, up or down.
        light_p: Probability of changing brightness and contrast.
        shrink: Lengths of a face's longer side in pixels, one of which is drawn: the face is downsampled to it and
            enlarged again; a face that is not larger stays unchanged.
        sharpen: Range of the amount of unsharp masking.
        sharpness_p: Probability of either shrinking or sharpening, both equally likely.
        jpeg: Range of qualities.
        jpeg_p: Probability of a JPEG round trip.

    Raises:
        UserError: A value is outside its range.
    """

    channels: float = 20.0
    channels_p: float = 0.3
    hue: float = 8.0
    saturation: float = 0.2
    hue_p: float = 1.0
    brightness: float = 0.1
    contrast: float = 0.1
    light_p: float = 1.0
    shrink: Sequence[float] = (32, 48, 64, 96)
    sharpen: Range = (0.2, 0.5)
    sharpness_p: float = 1.0
    jpeg: tuple[int, int] = (40, 95)
    jpeg_p: float = 0.2

    def __post_init__(self) -> None:
        for name in ("channels_p", "hue_p", "light_p", "sharpness_p", "jpeg_p"):
            require_within(f"blend.tint.{name}", getattr(self, name), 0, 1, "a probability")
        for name, limit, unit in (
            ("channels", 255, "grey levels"),
            ("hue", 180, "degrees"),
            ("saturation", 1, "a share"),
            ("brightness", 1, "a share of 255"),
            ("contrast", 1, "a share"),
        ):
            require_within(f"blend.tint.{name}", getattr(self, name), 0, limit, unit)
        require_range("blend.tint.sharpen", self.sharpen, 0, 10)
        require_range("blend.tint.jpeg", self.jpeg, 1, 100)
        sides: object = self.shrink
        if not isinstance(sides, Sequence) or isinstance(sides, str) or not len(sides):
            raise UserError(f"blend.tint.shrink={sides!r} is not valid; use a list of sides, such as [32, 64]")
        for side in sides:
            require_within("blend.tint.shrink", side, _SMALLEST, 4096, "pixels of a face")
        for one in fields(self):  # lists from YAML would not hash
            if not isinstance(value := getattr(self, one.name), (int, float)):
                object.__setattr__(self, one.name, tuple(value))

    def draw(self, random: Random, unit: float) -> Tint:
        """Draws one change. Every value is drawn even if unused, so that changing one range doesn't affect the others.

        Args:
            random: Source of all random values.
            unit: Length of the face's longer side in pixels.
        """
        red, green, blue, hue, saturation, brightness, contrast = random.uniform(-1, 1, 7).tolist()
        channels, turned, light, sharpness, jpeg_p, which, share, quality, sharpened = random.random(9).tolist()
        side = self.shrink[int(share * len(self.shrink))]
        low, high = self.sharpen
        worst, best = self.jpeg
        chosen: dict[str, object] = {}
        if channels < self.channels_p:
            chosen["channels"] = (red * self.channels, green * self.channels, blue * self.channels)
        if turned < self.hue_p:
            chosen |= {"hue": hue * self.hue, "saturation": saturation * self.saturation}
        if light < self.light_p:
            chosen |= {"brightness": brightness * self.brightness, "contrast": contrast * self.contrast}
        if sharpness < self.sharpness_p:
            amount = {"sharpen": low + (high - low) * sharpened, "sigma": max(_SHARPEST, _SHARPENED * unit)}
            chosen |= {"shrink": max(1.0, unit / side)} if which < 0.5 else amount
        if jpeg_p < self.jpeg_p:
            chosen["jpeg"] = round(worst + (best - worst) * quality)
        return Tint(**chosen)  # type: ignore[arg-type]
