"""The best checkpoint, also where several are equally good."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the best figure, and of equals the latest.

    AUROC is soon perfect on a small validation set, while probabilities go on getting better; Lightning keeps the first
    of equals.
    """

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether a checkpoint with this figure is to be kept."""
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        return equal or super().check_monitor_top_k(trainer, current)
