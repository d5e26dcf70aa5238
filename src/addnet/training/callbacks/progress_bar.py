"""How far training is: a bar that fits a terminal, and a line for each epoch."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

_LINE_EVERY = 60.0  # seconds, where no bar is drawn


class ProgressBar(RichProgressBar):
    """Lightning's bar in one line of 80 columns, with epochs counted from 1.

    Args:
        leave: Keeps the bar of an epoch that is done; `EpochLines` says more in its place.
    """

    def __init__(self, *, leave: bool = False) -> None:
        super().__init__(refresh_rate=4, leave=leave)

    def configure_columns(self, trainer: pl.Trainer) -> list[ProgressColumn]:
        """What is drawn: short, because the loss stands behind it."""
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
    """Logs each epoch in a line: the losses, the metric that validation is chosen by, and the time.

    Where no terminal shows a bar (a cluster, a job of a sweep), also how far a long epoch is, every minute.
    """

    def __init__(self) -> None:
        self._began = self._told = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of an epoch that goes on where it was interrupted, which Lightning does not start again."""
        self._began = self._told = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._began = self._told = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Says how far a long epoch is."""
        if sys.stdout.isatty() or time.monotonic() - self._told < _LINE_EVERY:
            return
        self._told = time.monotonic()
        if trainer.is_global_zero:
            log.info("%s: step %d of %s", _epoch(trainer), batch_idx + 1, trainer.num_training_batches)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says how the epoch went."""
        told = epoch_metrics(trainer, pl_module)
        chosen_by = str(getattr(trainer.checkpoint_callback, "monitor", None) or "val/frame/auroc")
        names = dict.fromkeys(("train/frame/loss", "val/frame/loss", chosen_by))
        words = [f"{name.replace('/frame', '')} {told[name]:.4f}" for name in names if name in told]
        seconds = round(time.monotonic() - self._began)
        if trainer.is_global_zero:
            log.info("%s: %s, %d:%02d", _epoch(trainer), ", ".join(words), *divmod(seconds, 60))


def epoch_metrics(trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
    """The metrics of the epoch that ends, by name; to be called by every process in `on_train_epoch_end`."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    # the epoch means of training reach callback_metrics only after that hook
    metrics["train/frame/loss"] = float(pl_module.train_loss.compute())  # type: ignore[operator, union-attr]
    metrics["train/frame/accuracy"] = float(pl_module.train_accuracy.compute())  # type: ignore[operator, union-attr]
    return metrics


def _epoch(trainer: pl.Trainer, epoch: int | None = None) -> str:
    number = (trainer.current_epoch if epoch is None else epoch) + 1
    last = trainer.max_epochs
    return f"epoch {number}/{last}" if last and last > 0 else f"epoch {number}"
