"""The best checkpoint, also where several are equally good or the run was resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the best figure, and of equals the latest.

    AUROC is soon perfect on a small validation set, while probabilities go on getting better; Lightning keeps the first
    of equals. A run that is resumed in a new folder still has the best of the old one to beat; Lightning forgets it.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best checkpoint so far, unless its file is gone."""
        if Path(state_dict["best_model_path"]).is_file():
            super().load_state_dict(state_dict | {"dirpath": self.dirpath})
            self.current_score = state_dict.get("current_score")  # Lightning writes it and doesn't read it

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether a checkpoint with this figure is to be kept; never with one that isn't a finite number."""
        if current is not None and not bool(current.isfinite()):
            return False
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        return equal or super().check_monitor_top_k(trainer, current)
