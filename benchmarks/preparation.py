"""Row 10: `prepare` beside its own detector in a bare loop, and two workers beside one."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pictures
from measure import Work, race
from table import Row

from addnet.data.prepared import index_pictures
from addnet.data.sources import Source
from addnet.faces import LandmarkDetector
from addnet.faces.pictures import read_picture
from addnet.preparation.settings import PrepareSettings

COUNT = 512


def rows() -> Iterator[Row]:
    """Pictures a second, the start of worker processes included."""
    with tempfile.TemporaryDirectory() as work:
        root = pictures.folder(Path(work), COUNT)
        listed = Source("folder", str(root)).listing.pictures
        decoded = [read_picture(root / path.as_py()) for path in listed.paths]
        detector = LandmarkDetector()
        number = itertools.count()

        def prepare(workers: int) -> None:
            source = Source("folder", str(root), index=f"{work}/{next(number)}.parquet")
            how = PrepareSettings(workers=workers)
            index_pictures(source, source.listing.pictures, detector=detector, settings=how)

        contenders: dict[str, Work] = {
            "detector alone": lambda: [detector(picture) for picture in decoded],
            "one worker": lambda: prepare(1),
            "two workers": lambda: prepare(2),
        }
        times = race(contenders, rounds=3, seconds=0)
        alone, one, two = times.values()
        each = {name: time.median / len(decoded) for name, time in times.items()}
        yield Row("10a", "prepare, one worker", "its detector in a bare loop", alone.over(one), (">=", 0.95), each)
        yield Row("10b", "prepare, two workers", "one worker", one.over(two), (">=", 1.8))
