"""`last.ckpt`: written between two steps, and once more when the run is asked to stop."""

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
    """Keeps the newest state of training, complete enough to go on as if nothing had happened.

    Lightning's ModelCheckpoint writes inside of a step's or an epoch's closing hooks, before its metrics are logged
    and, at an epoch's end, before a plateau schedule has moved: a run resumed from there misses both. This one writes
    before a step and before an epoch begins, when everything of the one before is done, and never amid accumulated
    gradients.

    SIGTERM, by which clusters announce that they will take the machine away, lets the step under way finish on all
    processes, writes the checkpoint and ends the run. (Lightning 2.6.6 broadcasts from within the signal handler and
    stops process 0 before the others, which then wait for it.)

    Args:
        dirpath: Folder of the checkpoint.
        filename: Its name, without `.ckpt`.
        every_n_epochs: How often it is written between epochs; always at the end of training.
        every_n_steps: Also after so many optimiser steps within an epoch.
        minutes: Also when so much time has passed since the last one.
        trained_only: Whether it holds the trained part alone, with name and digest of the start weights.
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
        self.best_model_path = ""  # as ModelCheckpoint calls the file it has written
        self._stop = False
        self._saved_step = 0
        self._saved_at = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes over SIGTERM; the Trainer gives it back when it is done."""
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        self._stop = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes what the epoch before has left."""
        new = trainer.global_step > self._saved_step
        self._save_or_stop(trainer, due=new and trainer.current_epoch % self.every_n_epochs == 0)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Writes within an epoch, if it is time."""
        if batch_idx == 0 or batch_idx % trainer.accumulate_grad_batches:
            return
        steps = self.every_n_steps is not None and trainer.global_step - self._saved_step >= self.every_n_steps
        late = self.seconds is not None and time.monotonic() - self._saved_at >= self.seconds
        self._save_or_stop(trainer, due=steps or late)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the end of training."""
        if trainer.global_step > self._saved_step:
            self._save(trainer)

    def _save_or_stop(self, trainer: pl.Trainer, *, due: bool) -> None:
        due, stop = _any_process(trainer, (due, self._stop))
        if due or (stop and trainer.global_step > self._saved_step):
            self._save(trainer)
        if stop:
            log.warning("asked to stop (SIGTERM)")
            raise SIGTERMException

    def _save(self, trainer: pl.Trainer) -> None:
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            # here it says what is written: optimiser and loops too; reading is torch's weights_only=True everywhere
            with saving_trained_part(trainer, self.trained_only, to_resume=True):
                trainer.save_checkpoint(self.path, weights_only=False)
            self.best_model_path = str(self.path)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._stop = True  # nothing else here: a step may be half done

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes up the path of the file that training goes on from: a finished run that is resumed writes none."""
        if trainer.state.fn == "fit" and trainer.ckpt_path:
            self.best_model_path = str(trainer.ckpt_path)


def _any_process(trainer: pl.Trainer, flags: tuple[bool, ...]) -> tuple[bool, ...]:
    """Each flag, true if it is so on any process: what follows must happen on all of them or on none."""
    if trainer.world_size == 1:
        return flags
    together = torch.tensor(flags, dtype=torch.int32, device=trainer.strategy.root_device)
    return tuple(bool(flag) for flag in trainer.strategy.reduce(together, reduce_op="max"))
