"""How often 95 % intervals cover the truth: simulated data sets, asked as an evaluation asks.

    python scripts/coverage.py            simulates (some 20 minutes of one core) and writes results/coverage.csv and
                                          the table of docs/evaluation.md
    python scripts/coverage.py --page     writes the table from results/coverage.csv alone

A data set has sources; each has one real video and one or four fakes of it. The score of an image is normal, of
variance 1: three fifths of that is its video's, of which three tenths are its source's. Fakes lie higher by what makes
the AUROC.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.decision import Decision
from addnet.evaluation.levels import CHOSEN, ResampledSet, level_numbers
from addnet.evaluation.paired import PAIRED
from addnet.evaluation.scored import ScoredSet
from addnet.evaluation.table import CALLED, RANKED

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "results" / "coverage.csv", ROOT / "docs" / "evaluation.md"
MARK = re.compile(r"<!-- begin: scripts/coverage\.py -->\n.*?<!-- end -->", re.DOTALL)
OF_VIDEO, OF_SOURCE = 0.6, 0.3  # shares of variance: of an image's its video's, of a video's its source's
AUROCS, SOURCES, FAKES, FRAMES = (0.7, 0.95, 0.99), (3, 5, 10, 20, 50, 100, 200), (1, 4), (1, 5)
RESAMPLES = 400
RECALL = "fake called real"
METRICS = (*RANKED, *CALLED, "log_loss", PAIRED, RECALL)
Floats = NDArray[np.float64]


class Cell(NamedTuple):
    """What a simulated data set is like."""

    auroc: float
    sources: int
    fakes: int  # of each source
    frames: int  # of each video

    @property
    def shift(self) -> float:
        """How much higher fakes lie, in standard deviations."""
        return 2**0.5 * NormalDist().inv_cdf(self.auroc)


def cells(sources: tuple[int, ...] = SOURCES) -> Iterator[Cell]:
    """Each combination."""
    return (Cell(*parts) for parts in product(AUROCS, sources, FAKES, FRAMES))


def drawn(cell: Cell, random: np.random.Generator) -> ScoredSet:
    """One data set."""
    labels = np.tile(np.arange(1 + cell.fakes) > 0, cell.sources).astype(np.int64)
    sources = np.repeat(np.arange(cell.sources), 1 + cell.fakes)
    of_video = random.normal(0, (OF_VIDEO * (1 - OF_SOURCE)) ** 0.5, len(labels))
    of_source = random.normal(0, (OF_VIDEO * OF_SOURCE) ** 0.5, cell.sources)
    middle = cell.shift * (labels - 0.5) + of_video + of_source[sources]
    scores = np.repeat(middle, cell.frames) + random.normal(0, (1 - OF_VIDEO) ** 0.5, len(labels) * cell.frames)
    names = [str(video) for video in range(len(labels))]
    videos = np.repeat(np.arange(len(labels)), cell.frames)
    paths = [""] * len(videos)
    return ScoredSet(
        "simulated",
        1 / (1 + np.exp(-scores)),
        labels[videos],
        videos,
        paths,
        names,
        sources=sources.astype(str).tolist(),
    )


def truth(cell: Cell) -> dict[str, float]:
    """What each metric would be on a data set without end, by its formula or by an integral."""
    normal, shift, prevalence = NormalDist(), cell.shift, cell.fakes / (1 + cell.fakes)
    found = normal.cdf(shift / 2)  # of fakes above 0.5, and of reals below it
    at = np.linspace(-12, 12, 200_001)
    density = np.exp(-(at**2) / 2) / (2 * np.pi) ** 0.5
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(at))])
    # a threshold that a fake passes with 1 - below(at) lets a real pass with 1 - below(at + shift)
    tpr, fpr = 1 - below, np.interp(at + shift, at, 1 - below)
    precision = prevalence * tpr / np.maximum(prevalence * tpr + (1 - prevalence) * fpr, 1e-300)
    loss = np.trapezoid(np.logaddexp(0, -(at + shift / 2)) * density, at)
    apart = (2 * (1 - OF_VIDEO * OF_SOURCE)) ** 0.5  # two videos of one source share what is its
    return {
        "auroc": cell.auroc,
        "ap": float(np.trapezoid(precision * density, at)),
        "eer": 1 - found,
        "tpr_at_1_fpr": normal.cdf(shift + normal.inv_cdf(0.01)),
        "tpr_at_5_fpr": normal.cdf(shift + normal.inv_cdf(0.05)),
        "balanced_accuracy": found,
        "accuracy": found,
        "f1": 2 * prevalence * found / (prevalence * found + (1 - prevalence) * (1 - found) + prevalence),
        "log_loss": float(loss),
        PAIRED: normal.cdf(shift / apart),
        RECALL: 1 - found,
    }


def told(scored: ScoredSet, seed: int) -> dict[str, dict[str, float | None]]:
    """Each metric with its interval, as a report has it."""
    here, decision = ResampledSet.of(scored, resamples=RESAMPLES, seed=seed), Decision(threshold=0.5)
    numbers = level_numbers(here, here.metrics(decision), decision)
    called = numbers["called"][CHOSEN]
    return numbers["metrics"] | called["metrics"] | {RECALL: called["errors"]["fake_called_real"]}


def coverage(cell: Cell, *, sets: int = 200, seed: int = 0) -> dict[str, tuple[float, int]]:
    """Figure → the share of its intervals that hold the truth, and how many there are; those without any left out."""
    random = np.random.default_rng([seed, round(cell.auroc * 1000), *cell[1:]])
    right, held = truth(cell), {name: [] for name in METRICS}
    for number in range(sets):
        found = told(drawn(cell, random), number)
        for name in METRICS:
            if (low := found[name]["low"]) is not None:
                held[name].append(low <= right[name] <= found[name]["high"])
    return {name: (sum(hits) / len(hits), len(hits)) for name, hits in held.items() if hits}


def simulate(sets: int = 200) -> None:
    """Fills the results, cell by cell."""
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow([*Cell._fields, "metric", "covered", "sets"])
        for cell in cells():
            for name, (share, number) in coverage(cell, sets=sets).items():
                rows.writerow([*cell, name, f"{share:.3f}", number])
            file.flush()


def table() -> str:
    """Metrics down, sources across; the least and the most over AUROC, fakes and frames."""
    by: dict[tuple[str, int], list[float]] = {}
    with RESULTS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            by.setdefault((row["metric"], int(row["sources"])), []).append(float(row["covered"]))
    head = ["sources", *map(str, SOURCES)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name in METRICS:
        parts = [by.get((name, number)) for number in SOURCES]
        across = [f"{min(part):.2f} – {max(part):.2f}" if part else "–" for part in parts]
        lines.append(f"| {name} | {' | '.join(across)} |")
    return "\n".join(lines)


def write_page() -> None:
    """Puts the table between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        MARK.sub(f"<!-- begin: scripts/coverage.py -->\n\n{table()}\n\n<!-- end -->", text), encoding="utf-8"
    )


if __name__ == "__main__":
    if "--page" not in sys.argv[1:]:
        simulate()
    write_page()
