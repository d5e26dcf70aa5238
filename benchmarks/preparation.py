"""Row 10: `prepare` beside its own detector in a bare loop, and two workers beside one."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pictures
from measure import Ratio
from table import Row

from addnet.data.sources import Source
from addnet.faces import LandmarkDetector
from addnet.faces.pictures import read_picture
from addnet.index.update import IndexUpdate
from addnet.preparation.pictures import prepare_pictures
from addnet.preparation.settings import PrepareSettings

COUNT, ROUNDS = 640, 3
SKIPPED = 64  # pictures at the start that do not count: workers have their models open by then


def rows() -> Iterator[Row]:
    """Seconds a picture once the models are open, the writing of the index included."""
    with tempfile.TemporaryDirectory() as work:
        root = pictures.folder(Path(work), COUNT)
        records = Source("folder", str(root)).listing.pictures
        decoded = [read_picture(root / path.as_py()) for path in records.paths]
        detector = LandmarkDetector()
        detector.load()
        number = itertools.count()

        def prepare(workers: int) -> float:
            stamps: list[float] = []

            def run(*arguments: Any, **options: Any) -> Generator[Any]:
                for finding in PrepareSettings(workers=workers).run(*arguments, **options):
                    stamps.append(time.perf_counter())
                    yield finding

            with IndexUpdate(f"{work}/{next(number)}.parquet", root) as update:
                prepare_pictures(update, records.replaced(root=""), detector=detector, run=run)
            return (time.perf_counter() - stamps[SKIPPED - 1]) / (len(stamps) - SKIPPED)

        def alone() -> float:
            start = time.perf_counter()
            for picture in decoded[SKIPPED:]:
                detector(picture)
            return (time.perf_counter() - start) / len(decoded[SKIPPED:])

        turns = [(alone(), prepare(1), prepare(2)) for _ in range(ROUNDS)]
        names = ("detector alone", "one worker", "two workers")
        each = dict(zip(names, map(median, zip(*turns, strict=True)), strict=True))
        one, two = (Ratio.of([turn[n] / turn[n + 1] for turn in turns]) for n in (0, 1))
        yield Row("10a", "prepare, one worker", "its detector in a bare loop", one, (">=", 0.95), each)
        yield Row("10b", "prepare, two workers", "one worker", two, (">=", 1.8))
