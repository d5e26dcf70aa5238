"""Row 22: `addnet data audit` beside reading and decoding the same images once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from measure import Ratio
from table import Row
from training import quieten

from addnet.config import compose
from addnet.data.audit import Settings, audit
from addnet.data.audit.command import listed
from addnet.pool import cores

COUNT, SIDE = 20_000, 224


def rows(rounds: int = 2) -> Iterator[Row]:
    """Images of random blots, no two alike; the report's pages are not written."""
    quieten()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as work:
        files = _drawn(Path(work))
        data = listed(compose([f"data.data_dir={work}"], config_name="audit").data)

        def audited() -> float:
            start = time.perf_counter()
            found = audit(data.records, data.read, Settings(), carved=data.carved)
            assert found.signals.readable.all()
            return time.perf_counter() - start

        def read(workers: int) -> float:
            start = time.perf_counter()
            with ThreadPoolExecutor(workers) as pool:  # OpenCV runs without the interpreter's lock
                assert all(pool.map(_decodes, files))
            return time.perf_counter() - start

        turns = [(read(1), audited(), read(cores())) for _ in range(rounds)]
    cv2.setNumThreads(threads)
    one, ours, every = map(median, zip(*turns, strict=True))
    what, against = f"audit of {COUNT:,} images", "reading and decoding them"
    both = {"audit": ours, "read, one core": one, "read, all cores": every}
    note = f"{SIDE} pixels, JPEG; the audit on {cores()} cores"
    ratios = [Ratio.of([turn[1] / turn[by] for turn in turns]) for by in (0, 2)]
    yield Row("22a", what, f"{against}, one core", ratios[0], ("<=", 3), both, note)
    yield Row("22b", what, f"{against}, all cores", ratios[1], ("<=", 3))


def _decodes(file: str) -> bool:
    return cv2.imread(file) is not None


def _drawn(folder: Path) -> list[str]:
    random, files = np.random.default_rng(0), []
    for number in range(COUNT):
        place = folder / ("test" if number % 5 == 0 else "train") / ("real", "fake")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        blots = random.integers(256, size=(14, 14, 3), dtype=np.uint8)
        files.append(str(place / f"{number:05}.jpg"))
        image = cv2.resize(blots, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(files[-1], image, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return files
