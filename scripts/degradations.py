"""A sheet of every kind of damage on a drawn portrait: docs/images/degradations.png.

    python scripts/degradations.py [FILE] [SIDE]

Of each kind at the mild end, the middle and the strong end of what `augment=harsh` draws from.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from addnet.config import load_group
from addnet.data import Augment
from addnet.data.degradations import KINDS, damage
from addnet.data.random_degradations import RandomDegradations
from addnet.data.synthetic import Identity, PortraitView, draw_portrait
from addnet.faces.images import ImageArray

PAGE = Path(__file__).parents[1] / "docs" / "images" / "degradations.png"
PORTRAIT, ACROSS, TITLE, GAP = 224, 4, 18, 6
FALLING = {
    "jpeg": (0,),
    "resize": (0,),
    "banding": (0,),
    "h264": (),
}  # strengths whose small values are the strong ones


def strips(degrade: RandomDegradations, side: int) -> list[ImageArray]:
    """Three steps of each kind below its name."""
    image, landmarks = draw_portrait(
        Identity.draw(np.random.default_rng(7)), PortraitView.draw(np.random.default_rng(8)), size=PORTRAIT
    )
    made = []
    for kind in KINDS:
        low, high = (list(values) for values in zip(*degrade.chances[kind].strengths, strict=True))
        for place in FALLING.get(kind, ()):
            low[place], high[place] = high[place], low[place]
        steps = [low, [(a + b) / 2 for a, b in zip(low, high, strict=True)], high]
        tiles = [damage(kind, image, landmarks, np.random.default_rng(1), step) for step in steps]
        strip = np.full((TITLE + side, 3 * side, 3), 255, np.uint8)
        said = f"{kind}: " + ", ".join(f"{step[0]:.3g}" for step in steps)
        cv2.putText(strip, said, (1, TITLE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
        strip[TITLE:] = np.hstack([cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA) for tile in tiles])
        made.append(strip)
    return made


def main(file: str = str(PAGE), side: str = "112") -> None:
    """Draws the sheet."""
    degrade = Augment(**load_group("augment", "harsh")).degrade
    assert isinstance(degrade, RandomDegradations)
    found = strips(degrade, int(side))
    found += [np.full_like(found[0], 255)] * (-len(found) % ACROSS)
    padded = [cv2.copyMakeBorder(strip, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3) for strip in found]
    rows = [np.hstack(padded[start : start + ACROSS]) for start in range(0, len(padded), ACROSS)]
    cv2.imwrite(file, np.vstack(rows)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main(*sys.argv[1:])
