"""Draws a folder of short videos to try the program on: portraits that move, and face swaps made of them.

    python scripts/draw_clips.py FOLDER

Nothing is downloaded and nobody is shown. People come in pairs, a and b, whose faces are swapped with each other:
`FOLDER/train/fake/pair00_ab.mp4` is `FOLDER/train/real/pair00_a.mp4` with the face of b. They prove that the parts
work together, and say nothing about real deepfakes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from addnet.data.synthetic import Identity, PortraitView, develop, draw_portrait, swap_face
from addnet.faces.images import ImageArray

PAIRS = {"train": 12, "test": 6}  # two people each
FRAMES, RATE = 16, 8
SIDE, SEEN = 224, 40  # pixels of a frame, and of a face as the generator of the fakes knows it
_KEPT = ("light", "scene")  # do not change within a clip


def clip(person: Identity, other: Identity, seed: tuple[int, ...]) -> Iterator[tuple[ImageArray, ImageArray]]:
    """The frames of one video, real and with the other person's face on it."""
    first, last = (PortraitView.draw(np.random.default_rng((*seed, end))) for end in (0, 1))
    for number in range(FRAMES):
        view = _between(first, last, number / (FRAMES - 1))
        target, landmarks = draw_portrait(person, view, size=SIDE)
        source, source_landmarks = draw_portrait(other, view, size=SIDE)
        fake = swap_face(target, landmarks, source=source, source_landmarks=source_landmarks, resolution=SEEN)
        noisy = replace(view, scene=view.scene + number)  # each frame has noise of its own
        yield develop(target, noisy), develop(fake, noisy)


def _between(first: PortraitView, last: PortraitView, share: float) -> PortraitView:
    """A view on the way from one to another, in the light and the room of the first."""
    numbers = [field.name for field in fields(PortraitView) if field.name not in (*_KEPT, "shift")]
    moved = {name: (1 - share) * getattr(first, name) + share * getattr(last, name) for name in numbers}
    x, y = ((1 - share) * a + share * b for a, b in zip(first.shift, last.shift, strict=True))
    return replace(first, **moved, shift=(x, y))


def write(path: Path, frames: Sequence[ImageArray]) -> None:
    """An MP4 in H.264, with the same bytes each time: x264 that looks ahead varies, even on one thread."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "18", "tune": "zerolatency"})
        stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        stream.thread_count = 1
        stream.codec_context.time_base = Fraction(1, RATE)
        for number, image in enumerate(frames):
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Writes `FOLDER/{train,test}/{real,fake}/`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="to be made")
    folder = parser.parse_args(argv).folder
    numbers = iter(range(sum(PAIRS.values())))
    for split, pairs in PAIRS.items():
        for pair in islice(numbers, pairs):
            people = [Identity.draw(np.random.default_rng((pair, who))) for who in (0, 1)]
            for who in (0, 1):
                real, fake = zip(*clip(people[who], people[1 - who], (pair, who, 1)), strict=True)
                write(folder / split / "real" / f"pair{pair:02d}_{'ab'[who]}.mp4", real)
                write(folder / split / "fake" / f"pair{pair:02d}_{'ab'[who]}{'ba'[who]}.mp4", fake)


if __name__ == "__main__":
    main()
