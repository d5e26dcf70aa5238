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

from addnet.training.trained_part import saving_trained_part

log = logging.getLogger(__name__)

_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the best metric, and of equals the latest.

    AUROC is soon perfect on a small validation set, while probabilities go on getting better; Lightning keeps the first
    of equals. A run that is resumed in a new folder still has the best of the old one to beat; Lightning forgets it.
    It also forgets it where the run folder was renamed or moved, because it trusts the absolute paths in a checkpoint;
    here a checkpoint says how they lie to its own folder, and they are looked up from the folder that it is read from.
    Since anybody may have written that, none but a checkpoint of this run or of one beside it is taken for the best.

    Args:
        dirpath: Folder of the checkpoint.
        trained_only: Whether it holds the trained part alone, with name and digest of the start weights and without the
            state of the optimiser.
        settings: Those of Lightning's.

    Attributes:
        metrics: Every metric of validation at the best checkpoint, for whoever compares runs.
        lost: What to tell where training was resumed and the best checkpoint so far is gone; empty otherwise.
    """

    lost = ""
    metrics: Mapping[str, float] = MappingProxyType({})
    _read_from: Path | None = None
    _resumed = True

    # what else Lightning's own takes stays open to configs
    def __init__(self, dirpath: str | Path | None = None, *, trained_only: bool = False, **settings: Any) -> None:
        super().__init__(dirpath, **settings)
        self.trained_only = trained_only

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        with saving_trained_part(trainer, self.trained_only, to_resume=False):
            super()._save_checkpoint(trainer, filepath)

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
            self.lost = f"the best checkpoint so far ({score}) is gone: there is no {self._place(recorded, state_dict)}"
            log.warning("%s; from here on the best of the epochs that follow is kept", self.lost)
            return
        if Path(best).parent != Path(self.dirpath or ""):
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
        """Where a recorded file lies now; empty if it is gone, or is none that a run writes."""
        place = self._place(recorded, state_dict)
        beside = self._folder.parents[1] in Path(place).parents
        return place if beside and place.endswith(".ckpt") and Path(place).is_file() else ""

    def _place(self, recorded: str, state_dict: dict[str, Any]) -> str:
        """Where a recorded file has to lie: as it lay to the folder of the checkpoint that is read."""
        if Path(recorded).is_absolute():  # by an earlier version
            recorded = os.path.relpath(recorded, state_dict.get("dirpath") or Path(recorded).parent)
        return os.path.normpath(self._folder / recorded) if recorded else ""

    @property
    def _folder(self) -> Path:
        return self._read_from or Path(self.dirpath or "").absolute()

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether a checkpoint with this metric is to be kept; never with one that isn't a finite number."""
        if current is not None and not bool(current.isfinite()):
            return False
        equal = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        kept = equal or super().check_monitor_top_k(trainer, current)
        if kept:
            self.metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        return kept

    def state_dict(self) -> dict[str, Any]:
        """Lightning's own, its paths as they lie to the folder of checkpoints, and the metrics."""
        state = super().state_dict()
        paths = {key: self._as_it_lies(state[key]) for key in _PATHS}
        kept = {self._as_it_lies(path): value for path, value in state["best_k_models"].items()}
        return state | paths | {"best_k_models": kept, "dirpath": "", "metrics": dict(self.metrics)}

    def _as_it_lies(self, path: str) -> str:
        return os.path.relpath(path, self.dirpath) if path and self.dirpath else path
