"""Rows 10 and 23: `prepare` beside its detector in a bare loop, two workers beside one; its chain on photographs."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import images
from measure import Ratio
from table import Row

from addnet.data.sources import Source
from addnet.faces import Landmarker
from addnet.faces.images import read_image
from addnet.index.update import IndexUpdate
from addnet.preparation.images import prepare_images
from addnet.preparation.settings import PrepareSettings

COUNT, ROUNDS = 256, 9
SKIPPED = 64  # images at the start that do not count: workers have their models open by then


def rows() -> Iterator[Row]:
    """Seconds an image once the models are open, the writing of the index included."""
    with tempfile.TemporaryDirectory() as work:
        root = images.folder(Path(work), COUNT)
        records = Source("folder", str(root)).listing.images
        decoded = [read_image(root / path.as_py()) for path in records.paths]
        detector = Landmarker()
        detector.load()
        number = itertools.count()

        def prepare(workers: int) -> float:
            stamps: list[float] = []

            def run(*arguments: Any, **options: Any) -> Generator[Any]:
                for finding in PrepareSettings(workers=workers).run(*arguments, **options):
                    stamps.append(time.perf_counter())
                    yield finding

            with IndexUpdate(f"{work}/{next(number)}.parquet", root) as update:
                prepare_images(update, records.replaced(root=""), landmarker=detector, run=run)
            return (time.perf_counter() - stamps[SKIPPED - 1]) / (len(stamps) - SKIPPED)

        def alone() -> float:
            cv2.setNumThreads(1)  # as in a worker
            start = time.perf_counter()
            for image in decoded[SKIPPED:]:
                detector(image)
            return (time.perf_counter() - start) / len(decoded[SKIPPED:])

        threads = cv2.getNumThreads()
        turns = [(alone(), prepare(1), prepare(2)) for _ in range(ROUNDS)]
        cv2.setNumThreads(threads)
        names = ("detector alone", "one worker", "two workers")
        each = dict(zip(names, map(median, zip(*turns, strict=True)), strict=True))
        one, two = (Ratio.of([turn[n] / turn[n + 1] for turn in turns]) for n in (0, 1))
        yield Row("10a", "prepare, one worker", "its detector in a bare loop", one, (">=", 0.95), each)
        yield Row("10b", "prepare, two workers", "one worker", two, (">=", 1.8))
    yield photographs_row()


def photographs_row(count: int = 24, shape: tuple[int, int] = (3000, 4000)) -> Row:
    """Row 23: the chain, which looks for the largest face, and dlib's detector on all pixels."""
    import dlib

    chain, detector = Landmarker(), dlib.get_frontal_face_detector()
    chain.load()
    times: list[tuple[float, float]] = []
    found = [0, 0]
    for number, person in enumerate(images.portraits(count)):
        share = 0.25 + 0.5 * number / count
        photo, place = images.photograph(person, shape, share=share, seed=number)
        start = time.perf_counter()
        face = chain(photo)
        between = time.perf_counter()
        boxes = [(box.left(), box.top(), box.right(), box.bottom()) for box in detector(photo, 0)]
        times.append((between - start, time.perf_counter() - between))
        found[0] += face.box is not None and _lies(face.box.tolist(), place)
        found[1] += any(_lies(box, place) for box in boxes)
    ours, full = map(median, zip(*times, strict=True))
    return Row(
        "23",
        "face of a photograph, 12 megapixels",
        "dlib at full size",
        Ratio.of([theirs / ours for ours, theirs in times]),
        (">=", 5),
        {"chain of prepare": ours, "dlib at full size": full},
        f"of {count} people, {found[0]} found, by dlib at full size {found[1]}; each a quarter to three quarters as "
        "tall as the photograph",
    )


def _lies(box: Sequence[float], place: Sequence[int]) -> bool:
    """Whether the middle of a box is within a place, both (left, top, right, bottom)."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return place[0] <= x <= place[2] and place[1] <= y <= place[3]
