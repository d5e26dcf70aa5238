"""Scores gathered over batches and ranks, so that distributed figures equal single-process figures."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from addnet.evaluation import Scores


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
        logits = logits.detach().double()
        self.margins.append(logits[:, 1] - logits[:, 0])
        self.labels.append(labels)
        self.videos.append(videos)
        self.valid.append(valid)

    def compute(self) -> Scores:
        """All scores so far, on the CPU, without the rows that do not count."""
        if not self.margins:
            empty = torch.zeros(0, dtype=torch.int64)
            return Scores(empty.double(), empty, empty)
        valid = dim_zero_cat(self.valid).bool()
        margins, labels, videos = (dim_zero_cat(part)[valid].cpu() for part in (self.margins, self.labels, self.videos))
        return Scores(margins.sigmoid(), labels, videos)
