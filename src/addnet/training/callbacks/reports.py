"""Writes confusion matrices, classification reports and ROC curves to the run folder and every logger."""

from __future__ import annotations

import json
import math

import pytorch_lightning as pl

from addnet.evaluation import Scores, by_video, classification_report, confusion_matrix
from addnet.evaluation.metrics import report_text
from addnet.evaluation.plots import confusion_plot, roc_plot
from addnet.training.loggers import log_confusion_matrix, log_plot, log_text


class Reports(pl.Callback):
    """Writes a confusion matrix and a classification report for frames and for videos, after validation and test."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the reports on validation."""
        if not trainer.sanity_checking:
            self._report(trainer, pl_module, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the reports on test, the ROC curve, and every metric as JSON."""
        self._report(trainer, pl_module, "test")
        scores: Scores = pl_module.scores["test"]  # type: ignore[assignment, index]
        if len(scores.labels) and 0 < scores.labels.double().mean() < 1:
            levels = {"images": scores, "videos": by_video(scores)}
            rows = {name: (each.probabilities, each.labels) for name, each in levels.items()}
            log_plot(trainer, "test_roc", roc_plot(rows, title="test"))
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
        # an undefined metric becomes null: JSON has no NaN
        metrics = {name: value if math.isfinite(value) else None for name, value in values.items()}
        log_text(trainer, "test_metrics.json", json.dumps(metrics, indent=2) + "\n")

    def _report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, split: str) -> None:
        scores: Scores = pl_module.scores[split]  # type: ignore[assignment, index]
        names = list(pl_module.hparams["class_names"])
        if not trainer.is_global_zero or not len(scores.labels):
            return
        for level, rows in (("frame", scores), ("video", by_video(scores))):
            name = f"{split}_{level}"
            matrix = confusion_matrix(rows.probabilities, rows.labels)
            log_plot(
                trainer,
                f"{name}_confusion_matrix",
                confusion_plot(matrix, names, title=f"{split}, {level}s"),
            )
            log_confusion_matrix(trainer, f"{name}_confusion_matrix", matrix, names)
            report = classification_report(matrix, names)
            log_text(trainer, f"{name}_classification_report.txt", report_text(report) + "\n")
            log_text(trainer, f"{name}_classification_report.json", json.dumps(report, indent=2) + "\n")
