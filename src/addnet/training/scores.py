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

    torchmetrics 1.9.0's own MeanMetric forgets the weights with `nan_strategy="disable"`, and with any other makes the
    device wait at every step. Batches are summed in float64 on the CPU at the end: not every device has it.
    """

    full_state_update = False
    totals: list[Tensor]
    weights: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("totals", default=[], dist_reduce_fx="cat")
        self.add_state("weights", default=[], dist_reduce_fx="cat")

    def update(self, value: Tensor, weight: Tensor) -> None:
        """Adds values with their weights, both of one shape."""
        self.totals.append((value.detach() * weight).sum().float())
        self.weights.append(weight.sum().float())

    def batches(self) -> dict[str, list[Any]]:
        """What this process has added so far, as plain values."""
        return {name: [float(value) for value in getattr(self, name)] for name in ("totals", "weights")}

    def load_batches(self, batches: Mapping[str, list[Any]]) -> None:
        """Takes up what `batches` gave."""
        for name, values in batches.items():
            setattr(self, name, [torch.tensor(value, device=self.device) for value in values])
        self._update_count = len(batches["totals"])  # or compute() would say that nothing was added

    def compute(self) -> Tensor:
        """The mean so far; nan if nothing has counted yet."""
        if not len(self.totals):
            return torch.tensor(torch.nan)
        totals, weights = (dim_zero_cat(part).cpu().double().sum() for part in (self.totals, self.weights))
        return totals / weights


class LossMean(WeightedMean):
    """The loss over all rows of all batches and ranks, as if they were one batch.

    A mean of the losses of batches would depend on their size and order: in a batch of one class the weights of classes
    cancel, and a mean over classes is over one. Here sums are kept by class, and divided once.

    Args:
        average: As of `RowLoss`: `rows` gives sum(w l) / sum(w), `classes` the mean over the classes that there are.
    """

    def __init__(self, average: str = "rows") -> None:
        super().__init__()
        self.average = average

    def update(self, rows: Tensor, labels: Tensor, valid: Tensor, weights: Tensor | None = None) -> None:  # type: ignore[override]
        """Adds a batch: losses of `RowLoss.rows` and what they were made with."""
        totals, counted = by_class(rows.detach(), labels, valid, weights=weights)
        self.totals.append(totals[None])
        self.weights.append(counted[None])

    def batches(self) -> dict[str, list[Any]]:
        """What this process has added so far, as plain values: a list for each batch, by class."""
        return {name: [value[0].tolist() for value in getattr(self, name)] for name in ("totals", "weights")}

    def load_batches(self, batches: Mapping[str, list[Any]]) -> None:
        """Takes up what `batches` gave; of earlier checkpoints one number a batch, halved between classes."""
        for name, values in batches.items():
            parts = [value if isinstance(value, list) else [value / 2, value / 2] for value in values]
            setattr(self, name, [torch.tensor([part], device=self.device) for part in parts])
        self._update_count = len(batches["totals"])

    def compute(self) -> Tensor:
        """The loss so far; nan if nothing has counted yet."""
        if not len(self.totals):
            return torch.tensor(torch.nan)
        totals, weights = (dim_zero_cat(part).cpu().double().sum(dim=0) for part in (self.totals, self.weights))
        if self.average == "rows":
            return totals.sum() / weights.sum()
        return (totals / weights)[weights > 0].mean()


class ScoreCollector(Metric):
    """Keeps every score of an epoch; `compute` gathers those of all ranks and drops rows that do not count.

    Metrics of a ranking (AUROC, AP, EER) cannot be averaged over ranks: the scores themselves are gathered.
    Use `scores`, which refuses those that aren't finite.
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
        self.paths: list[str] = []  # of this process, and no state: text can't be gathered as tensors

    def update(
        self,
        logits: Tensor,
        labels: Tensor,
        videos: Tensor,
        valid: Tensor,
        paths: Sequence[str],
        faces: Tensor | None = None,
    ) -> None:
        """Adds a batch: (B, 2) logits, (B,) labels, videos, flags, B paths, and (B,) faces (None: all have one)."""
        logits = logits.detach().float()
        self.margins.append(logits[:, 1] - logits[:, 0])
        self.labels.append(labels)
        self.videos.append(videos)
        self.valid.append(valid)
        self.faces.append(torch.ones_like(valid) if faces is None else faces)
        self.paths += paths

    def reset(self) -> None:
        """Forgets everything."""
        super().reset()
        self.paths = []

    def scores(self, of: str = "") -> Scores:
        """All scores so far, of all ranks, as `compute` gathers them.

        Args:
            of: What they are of, for messages.

        Raises:
            UserError: A score isn't a finite number; the same on all ranks, with the images named.
        """
        own = self._not_finite()
        # torchmetrics makes a scalar of a single row
        found = Scores(*(part.reshape(-1) for part in self.compute() if part is not None))
        if broken := int((~found.probabilities.isfinite()).sum()):
            raise NotFiniteError(broken, len(found.labels), _from_all_ranks(own), of=of)
        return found

    def _not_finite(self) -> list[str]:
        """Paths of this process whose scores count and aren't finite."""
        if not len(self.margins):
            return []
        margins, valid = dim_zero_cat(self.margins), dim_zero_cat(self.valid).bool()
        return [self.paths[row] for row in torch.nonzero(valid & ~margins.isfinite()).flatten().tolist()]

    def compute(self) -> Scores:
        """All scores so far, on the CPU, without the rows that do not count."""
        if not len(self.margins):  # a list of batches, or one tensor once ranks were gathered
            empty = torch.zeros(0, dtype=torch.int64)
            return Scores(empty.double(), empty, empty, empty.bool())
        valid = dim_zero_cat(self.valid).bool()
        kept = (self.margins, self.labels, self.videos, self.faces)
        margins, labels, videos, faces = (dim_zero_cat(part)[valid].cpu() for part in kept)
        return Scores(probabilities_of(margins), labels, videos, faces.bool())


def _from_all_ranks(paths: list[str]) -> list[str]:
    """Those of all ranks, rank by rank; each of them has to ask."""
    if not distributed.is_available() or not distributed.is_initialized():
        return paths
    gathered: list[list[str] | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, paths)
    return [path for part in gathered for path in part or ()]


def metrics_of(prefix: str, scores: Scores) -> dict[str, float]:
    """Every metric at both levels, by its full name."""
    metrics: dict[str, float] = {}
    for level, rows in (("frame", scores), ("video", by_video(scores))):
        values = binary_metrics(rows.probabilities, rows.labels) | paired_metrics(rows)
        metrics |= {f"{prefix}/{level}/{name}": value for name, value in values.items()}
    return metrics
