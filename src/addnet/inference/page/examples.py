"""Drawn examples for the page, made when it starts, so that it can be tried without an image of a person."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from addnet.data.synthetic import Identity, PortraitView, acting_like, develop, draw_portrait, swap_face
from addnet.data.synthetic.generate import encode
from addnet.faces.images import ImageArray

SIZE = 256
_PEOPLE = (1, 2)
_RESOLUTION = 0.2  # resolution of the source face of a swap, relative to the side of the image


class Example(NamedTuple):
    """An image to try.

    Attributes:
        title: Title on the page.
        file: Path of the image.
    """

    title: str
    file: Path


def draw_examples(folder: Path) -> list[Example]:
    """Draws a portrait and the same portrait with its face swapped.

    Args:
        folder: Output folder, created if needed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    titles = ("Drawn portrait", "Its face swapped")
    examples = []
    for title, image in zip(titles, drawn_pair(SIZE), strict=True):
        file = folder / f"{title.lower().replace(', ', '_').replace(' ', '_')}.jpg"
        file.write_bytes(encode(image, quality=95))
        examples.append(Example(title, file))
    return examples


def drawn_pair(size: int) -> tuple[ImageArray, ImageArray]:
    """Draws a portrait and a swap of it, each (size, size, 3) uint8 RGB, with `addnet.data.synthetic`."""
    people = [Identity.draw(np.random.default_rng((0, number, 0))) for number in _PEOPLE]
    view, other = (PortraitView.draw(np.random.default_rng((0, number, 1))) for number in _PEOPLE)
    real, landmarks = draw_portrait(people[0], view, size=size)
    source, source_landmarks = draw_portrait(people[1], acting_like(view, other), size=size)
    resolution = round(_RESOLUTION * size)
    fake = swap_face(real, landmarks, source=source, source_landmarks=source_landmarks, resolution=resolution)
    return develop(real, view), develop(fake, view)
