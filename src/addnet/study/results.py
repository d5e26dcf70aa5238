"""The folder `results/`: small results of finished cells without paths or machine names, the basis of all tables.

cells.csv                          a row per cell: sweep, variant, seed, its metrics, steps, seconds, commit
configs/<size>/<variant>.yaml      the recipe, to which rows refer by its digest
scores/<size>/<variant>-<seed>.parquet    the scores of the test images: source, label, score
ladder.json                        the best cells on degraded images, and their errors by how the face was found
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from addnet.study.folders import StudyFolder, run_recipe, seconds_of
from addnet.study.plan import StudyCell
from addnet.study.recipe import alike, digest
from addnet.sweeps.draws import SCORES
from addnet.sweeps.results import read_json, read_result, write_json

CELLS, CONFIGS, SCORES_DIR, LADDER = "cells.csv", "configs", "scores", "ladder.json"
_SHARED = ("auroc", "paired_accuracy", "ap", "eer", "balanced_accuracy", "accuracy", "log_loss")
METRICS = tuple(f"{split}/frame/{name}" for split in ("val", "test") for name in _SHARED)
_ABOUT = ("size", "sweep", "variant", "seed", "compare_to", "config")
_TOLD = ("steps", "seconds", "commit", "data", "overrides")
HEAD = (*_ABOUT, *METRICS, *_TOLD)

Row = dict[str, str]


@dataclass(frozen=True)
class TestScores:
    """Scores of the test images of one cell.

    Attributes:
        sources: (N,) index of each image's source in `names`.
        labels: (N,) 0 real, 1 fake.
        scores: (N,) probabilities of fake.
        names: G names of sources, sorted.
    """

    sources: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """A folder of results.

    Attributes:
        path: The folder; created when something is written.
    """

    path: Path

    def rows(self) -> list[Row]:
        """Returns a row for each finished cell, with all values as text."""
        file = self.path / CELLS
        if not file.is_file():
            return []
        with file.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def scores(self, row: Mapping[str, str]) -> TestScores | None:
        """Reads the test scores of a cell; None if it was not tested, as in tuning."""
        file = self.scores_file(row["size"], row["variant"], row["seed"])
        if not file.is_file():
            return None
        table = pq.read_table(file)
        names, sources = np.unique(np.asarray(table["source"].to_pylist(), dtype=str), return_inverse=True)
        labels, scores = (table[name].to_numpy() for name in ("label", "score"))
        return TestScores(sources.astype(np.int64), labels.astype(np.int64), scores, tuple(names.tolist()))

    def ladder(self) -> dict[str, Any]:
        """Reads the evaluation of the best cells; empty if there is none."""
        return dict(read_json(self.path / LADDER) or {})

    def scores_file(self, size: str, variant: str, seed: str | int) -> Path:
        """Returns the path of a cell's scores."""
        return self.path / SCORES_DIR / size / f"{variant}-{seed}.parquet"

    def config_file(self, size: str, variant: str) -> Path:
        """Returns the path of a variant's recipe."""
        return self.path / CONFIGS / size / f"{variant}.yaml"

    def digest_of(self, size: str, variant: str, told: Mapping[str, Any]) -> str:
        """Returns the digest of a recipe, or of the variant's stored recipe if the two are equivalent."""
        file = self.config_file(size, variant)
        if file.is_file():
            kept = yaml.safe_load(file.read_text(encoding="utf-8"))
            if alike(kept, told) or alike(told, kept):
                return digest(kept)
        return digest(told)

    def row(self, cell: StudyCell, told: Mapping[str, Any], *, size: str) -> Row | None:
        """Returns the row of a cell; None if there is none with its recipe.

        Args:
            cell: The cell.
            told: The recipe of the cell.
            size: Name of the study's size.
        """
        key = (size, cell.variant, str(cell.seed), self.digest_of(size, cell.variant, told))
        same = (row for row in self.rows() if key == tuple(row[n] for n in ("size", "variant", "seed", "config")))
        return next(same, None)

    def add(self, row: Row, told: Mapping[str, Any], scores: Path | None) -> None:
        """Adds the row of a cell, replacing an earlier one; several processes may do so at once.

        Args:
            row: A value for each column in `HEAD`.
            told: The recipe of the cell.
            scores: The file with its scores, if it was tested.
        """
        key = ("size", "variant", "seed")
        with self._alone():
            kept = [other for other in self.rows() if [other[k] for k in key] != [row[k] for k in key]]
            if scores is not None:
                _put(self.scores_file(*(row[k] for k in key)), scores.read_bytes())
            if row["config"] == digest(told):  # otherwise an equivalent recipe is stored already
                recipe = f"# {row['config']}\n{yaml.safe_dump(dict(told), sort_keys=True)}"
                _put(self.config_file(row["size"], row["variant"]), recipe.encode())
            rows = sorted([*kept, row], key=lambda one: [one[k] for k in key])
            _put(self.path / CELLS, _csv(rows).encode())

    def put_ladder(self, numbers: Mapping[str, Any]) -> None:
        """Writes the evaluation of the best cells."""
        with self._alone():
            write_json(self.path / LADDER, dict(numbers))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Locks the folder against other processes."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def collect(study: StudyFolder, cell: StudyCell, results: Results, *, size: str) -> None:
    """Adds a finished cell to the results.

    Args:
        study: The folder of the study.
        cell: The cell.
        results: The results to add it to.
        size: Name of the study's size.

    Raises:
        UserError: Its `result.json` is damaged.
    """
    folder = study.of(cell)
    result = read_result(folder)
    if result is None:
        return
    about = read_json(folder / "provenance.json") or {}
    trained = run_recipe(folder / "config.yaml")
    git = about.get("git") or {}
    seconds = seconds_of(folder, result)
    row = {"size": size, "sweep": cell.sweep, "variant": cell.variant, "seed": str(cell.seed)}
    row |= {"compare_to": cell.compare_to, "config": results.digest_of(size, cell.variant, trained)}
    row |= {name: _number(result.metrics.get(name)) for name in METRICS}
    row |= {"steps": str(_steps(folder)), "seconds": "" if seconds is None else f"{seconds:.0f}"}
    row |= {"commit": str(git.get("commit", ""))[:12] + ("+" if git.get("dirty") else "")}
    row |= {"data": str(about.get("data_fingerprint", ""))[:12], "overrides": " ".join(cell.told)}
    scores = folder / SCORES
    results.add(row, trained, scores if scores.is_file() else None)


def _steps(folder: Path) -> int:
    """Returns the number of optimiser steps, from the last logged row of training or validation."""
    file = folder / "metrics" / "metrics.csv"
    if not file.is_file():
        return 0
    with file.open(encoding="utf-8", newline="") as stream:
        trained = [int(row["step"]) for row in csv.DictReader(stream) if not row.get("test/frame/auroc")]
    return max(trained, default=-1) + 1


def _number(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.6f}"


def _csv(rows: list[Row]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HEAD, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _put(file: Path, content: bytes) -> None:
    """Writes a file atomically: no reader ever sees it half written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(file)


def brief(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Extracts what the page needs from an `evaluation.json`: AUROC on the ladder, errors by how a face was found.

    Args:
        evaluation: The evaluation as `addnet evaluate` writes it.
    """
    checkpoints = {}
    for name, about in evaluation["checkpoints"].items():
        (tested,) = about["sets"].values()
        (climbed,) = evaluation["robustness"].get(name, {}).values() or ({},)
        checkpoints[name] = {
            "threshold": about["decision"]["frame"].get("threshold"),
            "counts": tested["counts"],
            "groups": tested["groups"]["frame"],
            "ladder": {
                kind: [
                    {"label": step["label"], "images": step["images"]}
                    | {key: step["metrics"][key] for key in ("frame/auroc", "frame/balanced_accuracy")}
                    for step in steps
                ]
                for kind, steps in climbed.items()
            },
        }
    return {"format": 1, "checkpoints": checkpoints}
