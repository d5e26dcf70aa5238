"""`last.ckpt`: written between two steps, and when the run is asked to stop."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.utilities.exceptions import SIGTERMException

from addnet.training.trained_part import saving_trained_part

log = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Keeps the latest state of training, complete enough to resume as if training had never stopped.

    Lightning's ModelCheckpoint writes in the closing hooks of a step or an epoch, before its metrics are logged and, at
    the end of an epoch, before a plateau schedule is updated; a run resumed from such a file misses both. This callback
    writes before a step or an epoch begins, when everything of the previous one is done, and never while gradients are
    being accumulated.

    On SIGTERM, by which clusters announce that they will take the machine away, all processes finish the current step,
    the checkpoint is written and the run ends. (Lightning 2.6.6 broadcasts from within the signal handler and stops
    process 0 before the others, which then wait for it.)

    Args:
        dirpath: Folder of the checkpoint.
        filename: Its name, without `.ckpt`.
        every_n_epochs: Number of epochs between two checkpoints; one is always written at the end of training.
        every_n_steps: Also write within an epoch, after this many optimiser steps.
        minutes: Also write when this many minutes have passed since the last checkpoint.
        trained_only: Whether the file holds the trained part alone, with the name and digest of the start weights.
    """

    def __init__(
        self,
        dirpath: str,
        *,
        filename: str = "last",
        every_n_epochs: int = 1,
        every_n_steps: int | None = None,
        minutes: float | None = None,
        trained_only: bool = False,
    ) -> None:
        self.path = Path(dirpath, f"{filename}.ckpt")
        self.filename = filename
        self.every_n_epochs = every_n_epochs
        self.every_n_steps = every_n_steps
        self.seconds = None if minutes is None else 60 * minutes
        self.trained_only = trained_only
        self.best_model_path = ""  # ModelCheckpoint's name for the file it has written
        self._stop = False
        self._saved_step = 0
        self._saved_at = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Installs the SIGTERM handler; the Trainer restores the previous one when it is done."""
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        self._stop = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the state at the end of the previous epoch."""
        new = trainer.global_step > self._saved_step
        self._save_or_stop(trainer, due=new and trainer.current_epoch % self.every_n_epochs == 0)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Writes within an epoch, if a checkpoint is due."""
        if batch_idx == 0 or batch_idx % trainer.accumulate_grad_batches:
            return
        steps = self.every_n_steps is not None and trainer.global_step - self._saved_step >= self.every_n_steps
        late = self.seconds is not None and time.monotonic() - self._saved_at >= self.seconds
        self._save_or_stop(trainer, due=steps or late)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the final state of training."""
        if trainer.global_step > self._saved_step:
            self._save(trainer)

    def _save_or_stop(self, trainer: pl.Trainer, *, due: bool) -> None:
        due, stop = _any_process(trainer, (due, self._stop))
        if due or (stop and trainer.global_step > self._saved_step):
            self._save(trainer)
        if stop:
            log.warning("received SIGTERM: stopping")
            raise SIGTERMException

    def _save(self, trainer: pl.Trainer) -> None:
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            # weights_only=False saves optimiser and loops too; loading always uses torch's weights_only=True
            with saving_trained_part(trainer, self.trained_only, to_resume=True):
                trainer.save_checkpoint(self.path, weights_only=False)
            self.best_model_path = str(self.path)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._stop = True  # no more than that: a step may be half done

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restores the path of the file that training resumes from: a finished run that is resumed writes none."""
        if trainer.state.fn == "fit" and trainer.ckpt_path:
            self.best_model_path = str(trainer.ckpt_path)


def _any_process(trainer: pl.Trainer, flags: tuple[bool, ...]) -> tuple[bool, ...]:
    """Each flag, true if it is true on any process: saving and stopping must happen on all processes or on none."""
    if trainer.world_size == 1:
        return flags
    together = torch.tensor(flags, dtype=torch.int32, device=trainer.strategy.root_device)
    return tuple(bool(flag) for flag in trainer.strategy.reduce(together, reduce_op="max"))
