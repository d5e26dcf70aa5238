"""Changes of colour, sharpness and compression that make one of two equal pictures different from the other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from addnet.errors import UserError
from addnet.faces.pictures import Picture

Range = tuple[float, float]
Random = np.random.Generator
_FEWEST = 8  # pixels: side that a picture is never shrunk below


@dataclass(frozen=True)
class Tint:
    """One change of a picture; the defaults leave it as it is.

    Attributes:
        channels: Grey levels that are added to R, G and B.
        hue: Turn of the hue in degrees.
        saturation: Share that is added to the saturation's range.
        value: The same of the value.
        brightness: Grey levels over 255 that are added.
        contrast: Factor on the distance from 0, less 1.
        shrink: Factor by which the picture is made smaller and enlarged again; 1: not at all.
        sharpen: How much of what a blur takes is added.
        jpeg: Quality of a JPEG round trip.
    """

    channels: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hue: float = 0.0
    saturation: float = 0.0
    value: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    shrink: float = 1.0
    sharpen: float = 0.0
    jpeg: int | None = None

    def __call__(self, picture: Picture) -> Picture:
        """Applies them in the order above.

        Args:
            picture: (H, W, 3) uint8, RGB; left as it is.
        """
        seen = self._colours(picture)
        height, width = seen.shape[:2]
        if self.shrink > 1:
            small = (max(_FEWEST, round(width / self.shrink)), max(_FEWEST, round(height / self.shrink)))
            shrunk = cv2.resize(seen, small, interpolation=cv2.INTER_AREA)
            seen = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
        if self.sharpen:
            blurred = cv2.GaussianBlur(seen, (0, 0), 1.0)
            seen = cv2.addWeighted(seen, 1 + self.sharpen, blurred, -self.sharpen, 0)  # type: ignore[assignment]
        if self.jpeg is not None:
            _, encoded = cv2.imencode(".jpg", seen[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
            seen = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)  # type: ignore[assignment]
        return np.asarray(seen, dtype=np.uint8)

    def _colours(self, picture: Picture) -> Picture:
        seen = picture
        levels = np.arange(256, dtype=np.float32)
        if any(self.channels) or self.brightness or self.contrast:
            table = [(levels + more) * (1 + self.contrast) + 255 * self.brightness for more in self.channels]
            seen = _looked_up(seen, table)
        if self.hue or self.saturation or self.value:
            hsv = cv2.cvtColor(seen, cv2.COLOR_RGB2HSV)  # hue 0 to 179
            table = [
                np.mod(levels + self.hue / 2, 180),
                levels + 255 * self.saturation * (levels > 0),  # grey has no hue to be saturated
                levels + 255 * self.value,
            ]
            seen = np.asarray(cv2.cvtColor(_looked_up(np.asarray(hsv, np.uint8), table), cv2.COLOR_HSV2RGB), np.uint8)
        return seen


@dataclass(frozen=True)
class TintRanges:
    """What `Tint` is drawn from; numbers of Shiohara & Yamasaki 2022 but for the JPEG round trip.

    Attributes:
        channels: Most grey levels on a channel, to either side.
        channels_p: Probability of that.
        hue: Most degrees, to either side.
        saturation: Largest share, to either side.
        value: Largest share, to either side.
        hsv_p: Probability of these three.
        brightness: Largest share, to either side.
        contrast: Largest share, to either side.
        light_p: Probability of these two.
        shrink: Factors, one of which is drawn.
        sharpen: Range of the amount.
        sharpness_p: Probability of either, each as often.
        jpeg: Range of qualities.
        jpeg_p: Probability of a round trip.

    Raises:
        UserError: A value is outside its range.
    """

    channels: float = 20.0
    channels_p: float = 0.3
    hue: float = 15.0
    saturation: float = 0.1
    value: float = 0.1
    hsv_p: float = 1.0
    brightness: float = 0.1
    contrast: float = 0.1
    light_p: float = 1.0
    shrink: tuple[float, ...] = (2.0, 4.0)
    sharpen: Range = (0.2, 0.5)
    sharpness_p: float = 1.0
    jpeg: tuple[int, int] = (40, 100)
    jpeg_p: float = 0.0

    def __post_init__(self) -> None:
        for name in ("channels_p", "hsv_p", "light_p", "sharpness_p", "jpeg_p"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"blend.tint.{name}={getattr(self, name)} is a probability; use a number in [0, 1]")
        if not self.shrink or min(self.shrink) < 1:
            raise UserError(f"blend.tint.shrink={list(self.shrink)} is not valid; use factors of at least 1")
        if not 1 <= self.jpeg[0] <= self.jpeg[1] <= 100:
            raise UserError(
                f"blend.tint.jpeg={list(self.jpeg)} is not a range of qualities; use [low, high] in [1, 100]"
            )

    def draw(self, random: Random) -> Tint:
        """One change. Every value is drawn whether it is used or not, so that one range leaves the others alone."""
        red, green, blue, hue, saturation, value, brightness, contrast = random.uniform(-1, 1, 8).tolist()
        channels, hsv, light, sharpness, jpeg_p, which, share, quality, sharpened = random.random(9).tolist()
        factor = self.shrink[int(share * len(self.shrink))]
        changed = {"channels": (red * self.channels, green * self.channels, blue * self.channels)}
        moved = {"hue": hue * self.hue, "saturation": saturation * self.saturation, "value": value * self.value}
        lit = {"brightness": brightness * self.brightness, "contrast": contrast * self.contrast}
        low, high = self.sharpen
        sharp = {"shrink": factor} if which < 0.5 else {"sharpen": low + (high - low) * sharpened}
        worst, best = self.jpeg
        chosen: dict[str, object] = {}
        for wanted, what in (
            (channels < self.channels_p, changed),
            (hsv < self.hsv_p, moved),
            (light < self.light_p, lit),
            (sharpness < self.sharpness_p, sharp),
            (jpeg_p < self.jpeg_p, {"jpeg": round(worst + (best - worst) * quality)}),
        ):
            chosen |= what if wanted else {}
        return Tint(**chosen)  # type: ignore[arg-type]


def _looked_up(picture: Picture, table: list[np.ndarray]) -> Picture:
    """Each channel of a picture by its own table of 256 values."""
    rounded = np.clip(np.rint(np.stack(table, axis=-1)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, rounded[None]), dtype=np.uint8)
