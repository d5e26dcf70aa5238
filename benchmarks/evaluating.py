"""Row 19: the whole report of `addnet evaluate` for given scores, beside a plain bootstrap of one metric."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from measure import Ratio
from numpy.typing import NDArray
from table import Row
from training import quieten

from addnet.config import compose
from addnet.evaluate import evaluate

SCORES, FRAMES, DRAWS = 100_000, 10, 1000
TRIED = 20  # draws of the plain loop a round; each takes as long as any other


def rows(rounds: int = 3) -> Iterator[Row]:
    """100,000 scores of 10,000 videos, half of them fakes of the others."""
    from sklearn.metrics import roc_auc_score

    quieten()
    random = np.random.default_rng(0)
    labels = (np.arange(SCORES) // FRAMES % 2).astype(np.int64)
    logits = 2.4 * labels - 1.2 + random.normal(size=SCORES) + np.repeat(random.normal(size=SCORES // FRAMES), FRAMES)
    scores = 1 / (1 + np.exp(-logits))

    def plain() -> float:
        start = time.perf_counter()
        for _ in range(TRIED):
            drawn = random.integers(SCORES, size=SCORES)
            roc_auc_score(labels[drawn], scores[drawn])
        return (time.perf_counter() - start) / TRIED * DRAWS

    with tempfile.TemporaryDirectory() as work:
        file = _written(Path(work, "scores.csv"), scores, labels)
        overrides = [f"scores.file={file}", f"paths.output_dir={work}"]
        evaluate(compose([*overrides, "resamples=2"], config_name="evaluate"))  # imports

        def report() -> float:
            start = time.perf_counter()
            evaluate(compose([*overrides, f"resamples={DRAWS}"], config_name="evaluate"))
            return time.perf_counter() - start

        turns = [(plain(), report()) for _ in range(rounds)]
    theirs, ours = (median(turn) for turn in zip(*turns, strict=True))
    yield Row(
        "19",
        f"evaluate, {SCORES:,} scores, {DRAWS:,} draws, the report",
        "roc_auc_score in a plain bootstrap",
        Ratio.of([plain / report for plain, report in turns]),
        (">=", 20),
        {"evaluate": ours, "plain bootstrap of AUROC": theirs},
        f"{FRAMES} images a video; all metrics and plots at four levels; plain loop: {TRIED} draws, times "
        f"{DRAWS // TRIED}",
    )


def _written(file: Path, scores: NDArray[np.float64], labels: NDArray[np.int64]) -> Path:
    videos = np.arange(SCORES) // FRAMES
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "video", "group", "label", "score"))
        rows = zip(videos.tolist(), labels.tolist(), scores.tolist(), strict=True)
        writer.writerows((f"{video}/{row}.jpg", video, video // 2, *of) for row, (video, *of) in enumerate(rows))
    return file
