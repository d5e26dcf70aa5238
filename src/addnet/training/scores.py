"""Scores gathered over batches and ranks, so that distributed metrics equal single-process metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from addnet.evaluation import Scores, binary_metrics, by_video
from addnet.evaluation.metrics import probabilities_of
from addnet.evaluation.paired import paired_metrics
from addnet.finite import NotFiniteError
from addnet.training.losses import by_class


class WeightedMean(Metric):
    """A mean over batches and ranks, weighted by the rows that count.

    MeanMetric of torchmetrics 1.9.0 ignores the weights with `nan_strategy="disable"`, and with any other value it
    synchronises the device at every step. Batches are summed on the CPU at the end, in float64, which not every device
    has.
    """

    full_state_update = False
    totals: list[Tensor]
    weights: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("totals", default=[], dist_reduce_fx="cat")
        self.add_state("weights", default=[], dist_reduce_fx="cat")

    def update(self, value: Tensor, weight: Tensor) -> None:
        """Adds values with their weights, both of the same shape."""
        self.totals.append((value.detach() * weight).sum().float())
        self.weights.append(weight.sum().float())

    def batches(self) -> dict[str, list[Any]]:
        """What this process has added so far, as plain values."""
        return {name: [float(value) for value in getattr(self, name)] for name in ("totals", "weights")}

    def load_batches(self, batches: Mapping[str, list[Any]]) -> None:
        """Restores the result of `batches`."""
        for name, values in batches.items():
            setattr(self, name, [torch.tensor(value, device=self.device) for value in values])
        self._update_count = len(batches["totals"])  # otherwise compute() would warn that nothing was added

    def compute(self) -> Tensor:
        """The mean so far; NaN if no row has counted yet."""
        if not len(self.totals):
            return torch.tensor(torch.nan)
        totals, weights = (dim_zero_cat(part).cpu().double().sum() for part in (self.totals, self.weights))
        return totals / weights


class LossMean(WeightedMean):
    """The loss over all rows of all batches and ranks, as if they were one batch.

    A mean of the losses of batches would depend on their sizes and order: in a batch of a single class, class weights
    cancel out and a mean over classes covers only one. Here sums are kept by class and divided once, at the end.

    Args:
        average: `average` of `RowLoss`: `rows` gives sum(w l) / sum(w), `classes` the mean over the classes that occur.
    """

    def __init__(self, average: str = "rows") -> None:
        super().__init__()
        self.average = average

    def update(self, rows: Tensor, labels: Tensor, valid: Tensor, weights: Tensor | None = None) -> None:  # type: ignore[override]
        """Adds a batch: losses from `RowLoss.rows` and the other arguments of `by_class`."""
        totals, counted = by_class(rows.detach(), labels, valid, weights=weights)
        self.totals.append(totals[None])
        self.weights.append(counted[None])

    def batches(self) -> dict[str, list[Any]]:
        """What this process has added so far, as plain values: a list for each batch, by class."""
        return {name: [value[0].tolist() for value in getattr(self, name)] for name in ("totals", "weights")}

    def load_batches(self, batches: Mapping[str, list[Any]]) -> None:
        """Restores the result of `batches`; a single number per batch (earlier versions) is split between classes."""
        for name, values in batches.items():
            parts = [value if isinstance(value, list) else [value / 2, value / 2] for value in values]
            setattr(self, name, [torch.tensor([part], device=self.device) for part in parts])
        self._update_count = len(batches["totals"])

    def compute(self) -> Tensor:
        """The loss so far; NaN if no row has counted yet."""
        if not len(self.totals):
            return torch.tensor(torch.nan)
        totals, weights = (dim_zero_cat(part).cpu().double().sum(dim=0) for part in (self.totals, self.weights))
        if self.average == "rows":
            return totals.sum() / weights.sum()
        return (totals / weights)[weights > 0].mean()


class ScoreCollector(Metric):
    """Keeps every score of an epoch; `compute` gathers those of all ranks and drops rows that don't count.

    Ranking metrics (AUROC, AP, EER) can't be averaged over ranks, so the scores themselves are gathered. Use `scores`,
    which also checks that all of them are finite.
    """

    full_state_update = False
    margins: list[Tensor]
    labels: list[Tensor]
    videos: list[Tensor]
    valid: list[Tensor]
    faces: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("margins", "labels", "videos", "valid", "faces"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.paths: list[str] = []  # of this process; not a state of the metric: text can't be gathered as tensors

    def update(
        self,
        logits: Tensor,
        labels: Tensor,
        videos: Tensor,
        valid: Tensor,
        paths: Sequence[str],
        faces: Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            logits: (B, 2), any float dtype.
            labels: (B,) 0 or 1.
            videos: (B,) numbers of the videos.
            valid: (B,) bool; rows that are False don't count.
            paths: B paths of the images.
            faces: (B,) bool, whether a face was found; None if all images have one.
        """
        logits = logits.detach().float()
        self.margins.append(logits[:, 1] - logits[:, 0])
        self.labels.append(labels)
        self.videos.append(videos)
        self.valid.append(valid)
        self.faces.append(torch.ones_like(valid) if faces is None else faces)
        self.paths += paths

    def reset(self) -> None:
        """Removes all scores."""
        super().reset()
        self.paths = []

    def scores(self, of: str = "") -> Scores:
        """All scores so far, of all ranks, as `compute` gathers them.

        Args:
            of: What the scores belong to, for messages.

        Raises:
            UserError: A score isn't finite; raised on all ranks alike, and names the images.
        """
        own = self._not_finite()
        # torchmetrics turns a single row into a scalar
        scores = Scores(*(part.reshape(-1) for part in self.compute() if part is not None))
        if broken := int((~scores.probabilities.isfinite()).sum()):
            raise NotFiniteError(broken, len(scores.labels), _from_all_ranks(own), of=of)
        return scores

    def _not_finite(self) -> list[str]:
        """Paths of the images of this process whose scores count and aren't finite."""
        if not len(self.margins):
            return []
        margins, valid = dim_zero_cat(self.margins), dim_zero_cat(self.valid).bool()
        return [self.paths[row] for row in torch.nonzero(valid & ~margins.isfinite()).flatten().tolist()]

    def compute(self) -> Scores:
        """All scores so far, on the CPU, without the rows that don't count."""
        if not len(self.margins):  # a list of batches, or a single tensor after gathering over ranks
            empty = torch.zeros(0, dtype=torch.int64)
            return Scores(empty.double(), empty, empty, empty.bool())
        valid = dim_zero_cat(self.valid).bool()
        kept = (self.margins, self.labels, self.videos, self.faces)
        margins, labels, videos, faces = (dim_zero_cat(part)[valid].cpu() for part in kept)
        return Scores(probabilities_of(margins), labels, videos, faces.bool())


def _from_all_ranks(paths: list[str]) -> list[str]:
    """The paths of all ranks, in the order of ranks; every rank must call this."""
    if not distributed.is_available() or not distributed.is_initialized():
        return paths
    gathered: list[list[str] | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, paths)
    return [path for part in gathered for path in part or ()]


def metrics_of(prefix: str, scores: Scores) -> dict[str, float]:
    """Every metric at frame and video level, by its full name."""
    metrics: dict[str, float] = {}
    for level, rows in (("frame", scores), ("video", by_video(scores))):
        values = binary_metrics(rows.probabilities, rows.labels) | paired_metrics(rows)
        metrics |= {f"{prefix}/{level}/{name}": value for name, value in values.items()}
    return metrics
