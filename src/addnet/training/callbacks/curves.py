"""Plots losses, scores and sigmas over the epochs, after each epoch."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from addnet.evaluation.plots import curves_plot
from addnet.training.callbacks.bandpass_monitor import bandpass_of
from addnet.training.callbacks.progress_bar import epoch_metrics
from addnet.training.loggers import log_plot


class Curves(pl.Callback):
    """Plots the metrics of training and validation over the epochs so far; continues after a resume."""

    KEPT = (
        "train/frame/loss",
        "val/frame/loss",
        "train/frame/accuracy",
        "val/frame/accuracy",
        "val/video/accuracy",
        "val/frame/auroc",
        "val/video/auroc",
    )

    def __init__(self) -> None:
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the epoch's metrics and plots them, so that an interrupted run has its curves too."""
        metrics = epoch_metrics(trainer, pl_module)
        values = {name: metrics[name] for name in self.KEPT if name in metrics}
        if layer := bandpass_of(pl_module):
            values |= {f"bandpass/{name}": getattr(layer, name).item() for name in ("sigma_low", "delta", "sigma_high")}
        for name, value in values.items():
            self.curves.setdefault(name, []).append((trainer.current_epoch, value))
        if trainer.is_global_zero:
            log_plot(trainer, "curves", curves_plot(self.curves, title="training"))

    def state_dict(self) -> dict[str, Any]:
        """The curves so far, as plain values."""
        return {"curves": {name: [list(point) for point in points] for name, points in self.curves.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the curves of an interrupted run."""
        self.curves = {
            name: [(int(epoch), float(value)) for epoch, value in points]
            for name, points in state_dict["curves"].items()
        }
