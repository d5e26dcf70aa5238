"""Metrics for real against fake at frame and video level, and classification reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from addnet.evaluation.table import LOGGED
from addnet.evaluation.weighted import weighted_metrics
from addnet.finite import require_finite

THRESHOLD = 0.5


class Scores(NamedTuple):
    """The scores of a detector on a set of images.

    Attributes:
        probabilities: (N,) float64 probability of fake, in [0, 1].
        labels: (N,) int64; 0 real, 1 fake.
        videos: (N,) int64 number of the video that each image is a frame of.
        faces: (N,) bool whether a face was found; None if not known.
        sources: (N,) int64 number of the source of each image, the same for a real one and its fakes; None if not
            known.
    """

    probabilities: Tensor
    labels: Tensor
    videos: Tensor
    faces: Tensor | None = None
    sources: Tensor | None = None

    def take(self, rows: Tensor) -> Scores:
        """The scores of some rows, given by their numbers or as (N,) bool."""
        faces, sources = (None if part is None else part[rows] for part in (self.faces, self.sources))
        return Scores(self.probabilities[rows], self.labels[rows], self.videos[rows], faces, sources)


def probabilities_of(margins: Tensor) -> Tensor:
    """(N,) logit of fake minus logit of real → (N,) float64 probability of fake; NaN if the margin isn't finite.

    An infinite margin comes from logits that overflowed; its sigmoid would look like certainty.
    """
    margins = margins.double()
    return torch.where(margins.isfinite(), margins.sigmoid(), torch.nan)


def by_video(scores: Scores) -> Scores:
    """One row per video: the mean probability of its frames with a face, or of all frames if none has one.

    `predict` doesn't score frames without a face, so frames known to have none don't count in the score of a video.

    Example:
        >>> scores = Scores(torch.tensor([0.2, 0.4, 0.9]).double(), torch.tensor([0, 0, 1]), torch.tensor([7, 7, 9]))
        >>> by_video(scores).probabilities
        tensor([0.3000, 0.9000], dtype=torch.float64)
    """
    videos, row = torch.unique(scores.videos, return_inverse=True)
    counted = torch.ones(len(row), dtype=torch.float64, device=row.device)
    if scores.faces is not None:
        faces = scores.faces.to(row.device).double()
        counted = torch.where(torch.bincount(row, faces, len(videos))[row] > 0, faces, counted)
    probabilities = torch.bincount(row, counted * scores.probabilities.double(), len(videos))
    labels = torch.zeros(len(videos), dtype=torch.int64, device=row.device)
    labels[row] = scores.labels  # all frames of a video share its label: the class is part of a video's id
    sources = None
    if scores.sources is not None:
        sources = torch.zeros(len(videos), dtype=torch.int64, device=row.device)
        sources[row] = scores.sources
    return Scores(probabilities / torch.bincount(row, counted, len(videos)), labels, videos, sources=sources)


def binary_metrics(probabilities: Tensor, labels: Tensor, *, threshold: float = THRESHOLD) -> dict[str, float]:
    """Computes the metrics that training logs.

    Args:
        probabilities: (N,) probability of fake.
        labels: (N,) 0 real, 1 fake.
        threshold: An image is called fake above it.

    Returns:
        Each of `LOGGED`; NaN if undefined: all without images; with a single class all but accuracy and log loss.

    Raises:
        UserError: A probability isn't finite.
    """
    arrays = _arrays(probabilities, labels)
    values = weighted_metrics(*arrays, np.ones((1, len(labels))), threshold=threshold)
    return {name: float(values[name][0]) for name in LOGGED}


def confusion_matrix(probabilities: Tensor, labels: Tensor, *, threshold: float = THRESHOLD) -> list[list[int]]:
    """Counts of verdicts: rows are the true classes, columns the verdicts, both in the order real, fake.

    Raises:
        UserError: A probability isn't finite.
    """
    scores, classes = _arrays(probabilities, labels)
    return counts_of_calls(scores, classes, threshold=threshold)


def counts_of_calls(scores: NDArray[np.float64], labels: NDArray[np.int64], *, threshold: float) -> list[list[int]]:
    """The counts of `confusion_matrix` for arrays: (N,) scores and (N,) labels."""
    counts: list[list[int]] = np.bincount(2 * labels + (scores > threshold), minlength=4).reshape(2, 2).tolist()
    return counts


def _arrays(probabilities: Tensor, labels: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    scores = probabilities.double().cpu().numpy()
    require_finite(scores)
    return scores, labels.cpu().numpy().astype(np.int64)


def classification_report(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each class, with their unweighted and weighted means.

    Args:
        matrix: Counts from `confusion_matrix`.
        names: Names of the classes, in the order of the matrix.
    """
    total = sum(map(sum, matrix))
    report: dict[str, dict[str, float]] = {}
    for label, name in enumerate(names):
        hits, support = matrix[label][label], sum(matrix[label])
        called = sum(row[label] for row in matrix)
        precision, recall = _ratio(hits, called), _ratio(hits, support)
        f1 = _ratio(2 * hits, called + support)
        report[name] = {"precision": precision, "recall": recall, "f1": f1, "support": support}
    rows = list(report.values())
    for mean, weights in (
        ("macro avg", [1.0] * len(rows)),
        ("weighted avg", [row["support"] for row in rows]),
    ):
        report[mean] = {
            key: _ratio(sum(w * row[key] for w, row in zip(weights, rows, strict=True)), sum(weights))
            for key in ("precision", "recall", "f1")
        } | {"support": total}
    accuracy = _ratio(sum(matrix[i][i] for i in range(len(names))), total)
    report["accuracy"] = {"f1": accuracy, "support": total}
    return report


def report_text(report: dict[str, dict[str, float]]) -> str:
    """A classification report as aligned text."""
    lines = [f"{'':>14}{'precision':>11}{'recall':>9}{'f1':>9}{'support':>9}"]
    for name, row in report.items():
        cells = [f"{row[key]:.4f}" if key in row else "" for key in ("precision", "recall", "f1")]
        lines.append(f"{name:>14}{cells[0]:>11}{cells[1]:>9}{cells[2]:>9}{int(row['support']):>9}")
    return "\n".join(lines)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
