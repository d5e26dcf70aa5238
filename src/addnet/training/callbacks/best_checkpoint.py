"""Keeps the best checkpoint, including after ties and after the run was resumed, renamed or moved."""

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

from addnet.training.trained_part import saving_trained_part

log = logging.getLogger(__name__)

_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the best metric; of several with the same metric, the latest.

    It differs from Lightning's ModelCheckpoint in two ways:

    - On a small validation set AUROC soon reaches 1 while the probabilities still improve. Lightning keeps the first of
      equal checkpoints; this class keeps the latest.
    - A run that is resumed in a new folder still has to beat the best checkpoint of the old folder. Lightning forgets
      it, and also forgets it after the run folder was renamed or moved, because it trusts the absolute paths in a
      checkpoint. Here a checkpoint records paths relative to its own folder, and they are resolved against the folder
      it is read from. Since a checkpoint may come from anyone, a recorded best checkpoint is accepted only if it
      belongs to this run or to a run in the same parent folder.

    Args:
        dirpath: Folder of the checkpoint.
        trained_only: Whether the file holds the trained part alone, with the name and digest of the start weights and
            without the state of the optimiser.
        settings: Further arguments of Lightning's ModelCheckpoint.

    Attributes:
        metrics: Every validation metric at the best checkpoint, for comparing runs.
        lost: The message to report if training was resumed and the best checkpoint so far is missing; empty otherwise.
    """

    lost = ""
    metrics: Mapping[str, float] = MappingProxyType({})
    _read_from: Path | None = None
    _resumed = True

    # configs may set every further argument of Lightning's ModelCheckpoint
    def __init__(self, dirpath: str | Path | None = None, *, trained_only: bool = False, **settings: Any) -> None:
        super().__init__(dirpath, **settings)
        self.trained_only = trained_only

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        with saving_trained_part(trainer, self.trained_only, to_resume=False):
            super()._save_checkpoint(trainer, filepath)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Records the checkpoint's folder, and whether training resumes from it or it is only tested."""
        self._resumed = trainer.state.fn == "fit"
        self._read_from = Path(trainer.ckpt_path).parent.resolve() if trainer.ckpt_path else None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the best checkpoint so far; one that is missing is reported and no longer has to be beaten."""
        recorded = state_dict["best_model_path"]
        if not recorded or not self._resumed:
            return
        best = self._existing(recorded, state_dict)
        score = f"{state_dict['monitor']} {float(state_dict['best_model_score']):.4f}"
        if not best:
            missing = self._place(recorded, state_dict)
            self.lost = f"the best checkpoint so far ({score}) is missing: {missing} does not exist"
            log.warning("%s; the best of the following epochs will be kept instead", self.lost)
            return
        if Path(best).parent != Path(self.dirpath or ""):
            log.info("the best checkpoint so far (%s) is %s", score, best)
        scores = {self._existing(path, state_dict): value for path, value in state_dict["best_k_models"].items()}
        kept = {path: value for path, value in scores.items() if path}
        names = ("kth_best_model_path", "last_model_path")
        paths = {name: self._existing(state_dict[name], state_dict) for name in names}
        super().load_state_dict(
            state_dict | paths | {"best_model_path": best, "best_k_models": kept, "dirpath": self.dirpath}
        )
        self.metrics = state_dict.get("metrics", {})
        self.current_score = state_dict.get("current_score")  # Lightning writes it and doesn't read it

    def _existing(self, recorded: str, state_dict: dict[str, Any]) -> str:
        """The present path of a recorded file; empty if it is missing or isn't a file that a run writes."""
        place = self._place(recorded, state_dict)
        nearby = self._folder.parents[1] in Path(place).parents
        return place if nearby and place.endswith(".ckpt") and Path(place).is_file() else ""

    def _place(self, recorded: str, state_dict: dict[str, Any]) -> str:
        """The path at which a recorded file is expected, relative to the folder of the checkpoint that is read."""
        if Path(recorded).is_absolute():  # written by an earlier version
            recorded = os.path.relpath(recorded, state_dict.get("dirpath") or Path(recorded).parent)
        return os.path.normpath(self._folder / recorded) if recorded else ""

    @property
    def _folder(self) -> Path:
        return self._read_from or Path(self.dirpath or "").absolute()

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether to keep a checkpoint with this metric; never if the metric isn't finite."""
        if current is not None and not bool(current.isfinite()):
            return False
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        kept = equal or super().check_monitor_top_k(trainer, current)
        if kept:
            self.metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        return kept

    def state_dict(self) -> dict[str, Any]:
        """Lightning's state, with paths relative to the folder of checkpoints, and the metrics."""
        state = super().state_dict()
        paths = {key: self._relative(state[key]) for key in _PATHS}
        kept = {self._relative(path): value for path, value in state["best_k_models"].items()}
        return state | paths | {"best_k_models": kept, "dirpath": "", "metrics": dict(self.metrics)}

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.dirpath) if path and self.dirpath else path
