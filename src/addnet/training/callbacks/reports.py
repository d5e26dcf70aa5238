"""Confusion matrices, classification reports and curves: in the run folder and in every logger."""

from __future__ import annotations

import json
import math
from typing import Any

import pytorch_lightning as pl

from addnet.evaluation import Scores, by_video, classification_report, confusion_matrix
from addnet.evaluation.figures import confusion_figure, curves_figure, roc_figure
from addnet.evaluation.metrics import report_text
from addnet.training.loggers import log_confusion_matrix, log_figure, log_text


class Reports(pl.Callback):
    """Writes confusion matrix and classification report, for frames and videos, after validation and test."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reports on validation."""
        if not trainer.sanity_checking:
            self._report(trainer, pl_module, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reports on test, with the ROC curve and every figure as JSON."""
        self._report(trainer, pl_module, "test")
        scores: Scores = pl_module.scores["test"]  # type: ignore[assignment, index]
        if len(scores.labels) and 0 < scores.labels.double().mean() < 1:
            log_figure(trainer, "test_roc", roc_figure(scores.probabilities, scores.labels, title="test, frames"))
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
        # a metric that means nothing is null: JSON has no nan
        figures = {name: value if math.isfinite(value) else None for name, value in values.items()}
        log_text(trainer, "test_metrics.json", json.dumps(figures, indent=2) + "\n")

    def _report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, split: str) -> None:
        scores: Scores = pl_module.scores[split]  # type: ignore[assignment, index]
        names = list(pl_module.hparams["class_names"])
        if not trainer.is_global_zero or not len(scores.labels):
            return
        for level, rows in (("frame", scores), ("video", by_video(scores))):
            name = f"{split}_{level}"
            matrix = confusion_matrix(rows.probabilities, rows.labels)
            log_figure(
                trainer,
                f"{name}_confusion_matrix",
                confusion_figure(matrix, names, title=f"{split}, {level}s"),
            )
            log_confusion_matrix(trainer, f"{name}_confusion_matrix", matrix, names)
            report = classification_report(matrix, names)
            log_text(trainer, f"{name}_classification_report.txt", report_text(report) + "\n")
            log_text(trainer, f"{name}_classification_report.json", json.dumps(report, indent=2) + "\n")


class Curves(pl.Callback):
    """Draws loss and score of training and validation over the epochs; goes on after a resume."""

    KEPT = (
        "train/frame/loss",
        "val/frame/loss",
        "train/frame/accuracy",
        "val/frame/accuracy",
        "val/frame/auroc",
    )

    def __init__(self) -> None:
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the epoch's figures."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items() if name in self.KEPT}
        # the epoch means of training reach callback_metrics only after this hook
        figures["train/frame/loss"] = float(pl_module.train_loss.compute())  # type: ignore[operator, union-attr]
        figures["train/frame/accuracy"] = float(pl_module.train_accuracy.compute())  # type: ignore[operator, union-attr]
        for name, value in figures.items():
            self.curves.setdefault(name, []).append((trainer.current_epoch, value))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the curves."""
        if self.curves:
            log_figure(trainer, "curves", curves_figure(self.curves, title="training"))

    def state_dict(self) -> dict[str, Any]:
        """The curves so far, as plain values."""
        return {"curves": {name: [list(point) for point in points] for name, points in self.curves.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the curves of an interrupted run."""
        self.curves = {
            name: [(int(epoch), float(value)) for epoch, value in points]
            for name, points in state_dict["curves"].items()
        }
