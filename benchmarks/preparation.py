"""Row 10: `prepare` beside its own detector in a bare loop, and two workers beside one."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import images
from measure import Ratio
from table import Row

from addnet.data.sources import Source
from addnet.faces import Landmarker
from addnet.faces.images import read_image
from addnet.index.update import IndexUpdate
from addnet.preparation.images import prepare_images
from addnet.preparation.settings import PrepareSettings

COUNT, ROUNDS = 640, 3
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
                prepare_images(update, records.replaced(root=""), detector=detector, run=run)
            return (time.perf_counter() - stamps[SKIPPED - 1]) / (len(stamps) - SKIPPED)

        def alone() -> float:
            start = time.perf_counter()
            for image in decoded[SKIPPED:]:
                detector(image)
            return (time.perf_counter() - start) / len(decoded[SKIPPED:])

        turns = [(alone(), prepare(1), prepare(2)) for _ in range(ROUNDS)]
        names = ("detector alone", "one worker", "two workers")
        each = dict(zip(names, map(median, zip(*turns, strict=True)), strict=True))
        one, two = (Ratio.of([turn[n] / turn[n + 1] for turn in turns]) for n in (0, 1))
        yield Row("10a", "prepare, one worker", "its detector in a bare loop", one, (">=", 0.95), each)
        yield Row("10b", "prepare, two workers", "one worker", two, (">=", 1.8))
