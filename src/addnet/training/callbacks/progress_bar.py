"""Progress of training: a bar that fits a terminal, and a log line for each epoch."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

_LINE_EVERY = 60.0  # seconds between lines of the log if there is no bar


class ProgressBar(RichProgressBar):
    """Lightning's bar in one line of 80 columns, with epochs counted from 1.

    Args:
        leave: Whether to keep the bar of a finished epoch; the line of `EpochLines` says more.
    """

    def __init__(self, *, leave: bool = False) -> None:
        super().__init__(refresh_rate=4, leave=leave)

    def configure_columns(self, trainer: pl.Trainer) -> list[ProgressColumn]:
        """The columns of the bar; few, to leave room for the loss."""
        return [
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        ]

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The loss of the step."""
        metrics = super().get_metrics(trainer, pl_module)
        return {"loss": metrics["train/step/loss"]} if "train/step/loss" in metrics else {}

    def _stop_progress(self) -> None:
        if self.progress is not None and not self._leave:
            for task in self.progress.task_ids:
                self.progress.update(task, visible=False)
        super()._stop_progress()

    def _get_train_description(self, current_epoch: int) -> str:
        return _epoch(self.trainer, current_epoch)


class EpochLines(pl.Callback):
    """Logs one line per epoch: the losses, the metric that selects the best checkpoint, and the time.

    If no terminal shows a bar (on a cluster, in a job of a sweep), it also logs the progress of long epochs every
    minute.
    """

    def __init__(self) -> None:
        self._began = self._logged = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of a resumed epoch, for which Lightning doesn't call `on_train_epoch_start`."""
        self._began = self._logged = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._began = self._logged = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Logs the progress of a long epoch."""
        if sys.stdout.isatty() or time.monotonic() - self._logged < _LINE_EVERY:
            return
        self._logged = time.monotonic()
        if trainer.is_global_zero:
            log.info("%s: step %d of %s", _epoch(trainer), batch_idx + 1, trainer.num_training_batches)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the metrics and the duration of the epoch."""
        metrics = epoch_metrics(trainer, pl_module)
        monitor = str(getattr(trainer.checkpoint_callback, "monitor", None) or "val/frame/auroc")
        names = dict.fromkeys(("train/frame/loss", "val/frame/loss", monitor))
        words = [f"{name.replace('/frame', '')} {metrics[name]:.4f}" for name in names if name in metrics]
        seconds = round(time.monotonic() - self._began)
        if trainer.is_global_zero:
            log.info("%s: %s, %d:%02d", _epoch(trainer), ", ".join(words), *divmod(seconds, 60))


def epoch_metrics(trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
    """The metrics of the current epoch by name; every process must call this, in `on_train_epoch_end`."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    # the epoch means of training reach callback_metrics only after `on_train_epoch_end`
    metrics["train/frame/loss"] = float(pl_module.train_loss.compute())  # type: ignore[operator, union-attr]
    metrics["train/frame/accuracy"] = float(pl_module.train_accuracy.compute())  # type: ignore[operator, union-attr]
    return metrics


def _epoch(trainer: pl.Trainer, epoch: int | None = None) -> str:
    number = (trainer.current_epoch if epoch is None else epoch) + 1
    last = trainer.max_epochs
    return f"epoch {number}/{last}" if last and last > 0 else f"epoch {number}"
