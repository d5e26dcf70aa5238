"""The best checkpoint, also where several are equally good, or the run was resumed, renamed or moved."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the best figure, and of equals the latest.

    AUROC is soon perfect on a small validation set, while probabilities go on getting better; Lightning keeps the first
    of equals. A run that is resumed in a new folder still has the best of the old one to beat; Lightning forgets it.
    It also forgets it where the run folder was renamed or moved, because it trusts the absolute paths in a checkpoint;
    here they are looked up from the folder that the checkpoint is read from.

    Attributes:
        metrics: Every metric of validation at the best checkpoint, for whoever compares runs.
        lost: What to tell where training was resumed and the best checkpoint so far is gone; empty otherwise.
    """

    lost = ""
    metrics: Mapping[str, float] = MappingProxyType({})
    _read_from: Path | None = None
    _resumed = True

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Notes where the checkpoint lies, and whether training goes on from it or it is only tested."""
        self._resumed = trainer.state.fn == "fit"
        self._read_from = Path(trainer.ckpt_path).parent.resolve() if trainer.ckpt_path else None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best checkpoint so far; one that is gone is told and no longer the one to beat."""
        recorded = state_dict["best_model_path"]
        if not recorded or not self._resumed:
            return
        best = self._found(recorded, state_dict)
        score = f"{state_dict['monitor']} {float(state_dict['best_model_score']):.4f}"
        if not best:
            places = " or ".join(dict.fromkeys(self._places(recorded, state_dict)))
            self.lost = f"the best checkpoint so far ({score}) is gone: there is no {places}"
            log.warning("%s; from here on the best of the epochs that follow is kept", self.lost)
            return
        if best != recorded:
            log.info("the best checkpoint so far (%s) is %s", score, best)
        found = {self._found(path, state_dict): value for path, value in state_dict["best_k_models"].items()}
        paths = {name: self._found(state_dict[name], state_dict) for name in ("kth_best_model_path", "last_model_path")}
        kept = {path: value for path, value in found.items() if path}
        super().load_state_dict(
            state_dict | paths | {"best_model_path": best, "best_k_models": kept, "dirpath": self.dirpath}
        )
        self.metrics = state_dict.get("metrics", {})
        self.current_score = state_dict.get("current_score")  # Lightning writes it and doesn't read it

    def _found(self, recorded: str, state_dict: dict[str, Any]) -> str:
        """Where a recorded file lies now; empty if it is gone."""
        return next((place for place in self._places(recorded, state_dict) if Path(place).is_file()), "")

    def _places(self, recorded: str, state_dict: dict[str, Any]) -> list[str]:
        """Where a recorded file may lie: as it lay to the folder of the checkpoint, or else where it was."""
        if not recorded or not self._read_from or not state_dict.get("dirpath"):
            return [recorded]
        return [os.path.normpath(self._read_from / os.path.relpath(recorded, state_dict["dirpath"])), recorded]

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether a checkpoint with this figure is to be kept; never with one that isn't a finite number."""
        if current is not None and not bool(current.isfinite()):
            return False
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        kept = equal or super().check_monitor_top_k(trainer, current)
        if kept:
            self.metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        return kept

    def state_dict(self) -> dict[str, Any]:
        """Lightning's own, and the metrics."""
        return super().state_dict() | {"metrics": dict(self.metrics)}
