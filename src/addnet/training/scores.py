"""Scores gathered over batches and ranks, so that distributed figures equal single-process figures."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from addnet.evaluation import Scores


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

    def batches(self) -> dict[str, list[float]]:
        """What this process has added so far, as plain values."""
        return {name: [float(value) for value in getattr(self, name)] for name in ("totals", "weights")}

    def load_batches(self, batches: dict[str, list[float]]) -> None:
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


class ScoreCollector(Metric):
    """Keeps every score of an epoch; `compute` gathers those of all ranks and drops rows that do not count.

    Figures of a ranking (AUROC, AP, EER) cannot be averaged over ranks: the scores themselves are gathered.
    """

    full_state_update = False
    margins: list[Tensor]
    labels: list[Tensor]
    videos: list[Tensor]
    valid: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("margins", "labels", "videos", "valid"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, labels: Tensor, videos: Tensor, valid: Tensor) -> None:
        """Adds a batch: (B, 2) logits, (B,) labels, video numbers and flags."""
        logits = logits.detach().float()
        self.margins.append(logits[:, 1] - logits[:, 0])
        self.labels.append(labels)
        self.videos.append(videos)
        self.valid.append(valid)

    def compute(self) -> Scores:
        """All scores so far, on the CPU, without the rows that do not count."""
        if not len(self.margins):  # a list of batches, or one tensor once ranks were gathered
            empty = torch.zeros(0, dtype=torch.int64)
            return Scores(empty.double(), empty, empty)
        valid = dim_zero_cat(self.valid).bool()
        margins, labels, videos = (dim_zero_cat(part)[valid].cpu() for part in (self.margins, self.labels, self.videos))
        return Scores(margins.double().sigmoid(), labels, videos)
