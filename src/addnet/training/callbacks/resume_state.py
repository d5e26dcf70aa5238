"""The state that a resumed run needs, besides weights and optimiser, to equal an uninterrupted one."""

from __future__ import annotations

import logging
import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import distributed

from addnet.errors import UserError
from addnet.training.loggers import loggers_state
from addnet.training.served_data import resumable_data
from addnet.wording import count

log = logging.getLogger(__name__)


class ResumeState(pl.Callback):
    """Saves the position of training and the state of each process in every checkpoint, and restores them on a resume.

    The saved state is the position (epoch and batch) from which the sampler continues; for each process, its random
    states and the running sums of the epoch's means; the latest metrics, which schedules may read before the next
    validation; and the state of the loggers.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the entry `resume`, of plain values and tensors."""
        epoch, batch = _position(trainer)
        if not trainer.validating:
            _settle(checkpoint["loops"]["fit_loop"], between_epochs=batch == 0)
        process = {"random": _random_states(), "counted": pl_module.epoch_state()}  # type: ignore[operator]
        checkpoint["resume"] = {
            "epoch": epoch,
            "batch": batch,
            "batch_size": resumable_data(trainer).batch_size,
            "processes": _gathered(process, trainer.world_size),
            "figures": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "loggers": loggers_state(trainer.loggers),
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Makes the sampler begin at the saved position.

        Raises:
            UserError: The position lies within an epoch, and the batches would now be composed differently.
        """
        if trainer.state.fn != "fit":
            return
        if "resume" not in checkpoint:
            log.warning(
                "the checkpoint was written without callbacks.resume_state: the resumed run may differ from an "
                "uninterrupted one"
            )
            return
        self._loaded = resume = checkpoint["resume"]
        before = (len(resume["processes"]), resume["batch_size"])
        data = resumable_data(trainer)
        now = (trainer.world_size, data.batch_size)
        if resume["batch"] and before != now:
            raise UserError(
                f"the checkpoint was written within an epoch by {count(before[0], 'process', 'processes')} with "
                f"data.batch_size={before[1]}; {now[0]} with data.batch_size={now[1]} can't resume from there. Use the "
                "same number of processes and the same data.batch_size."
            )
        data.start_at(epoch=resume["epoch"], batch=resume["batch"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restores the rest of the state, after the Trainer has reset its own."""
        resume, self._loaded = self._loaded, {}
        if not resume:
            return
        log.info("resuming in epoch %d before batch %d", resume["epoch"], resume["batch"])
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in resume["figures"].items()})
        if len(resume["processes"]) == trainer.world_size:
            process = resume["processes"][trainer.global_rank]
            _set_random_states(process["random"])
            if resume["batch"]:
                pl_module.load_epoch_state(process["counted"])  # type: ignore[operator]
        if resume["batch"] == 0:
            trainer.fit_loop.restarting = False  # between epochs nothing is half done: the next epoch begins normally


def _position(trainer: pl.Trainer) -> tuple[int, int]:
    """The epoch and the number of its batches that are done; (e, 0) as soon as epoch e - 1 is complete."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return epochs.processed, 0 if epochs.processed == epochs.started else batches.processed


def _settle(loops: dict[str, Any], *, between_epochs: bool) -> None:
    """Resets counts that the Trainer has raised for work not yet begun: Lightning saves at other moments."""
    progress = loops["epoch_progress" if between_epochs else "epoch_loop.batch_progress"]
    for counts in (progress["total"], progress["current"]):
        if between_epochs:
            counts["ready"] = counts["completed"] = counts["processed"]
        elif counts["ready"] > counts["started"]:
            counts["ready"] = counts["started"]
            progress["is_last_batch"] = False


def _gathered(state: dict[str, Any], world_size: int) -> list[dict[str, Any]]:
    """The states of all processes, by rank."""
    if world_size == 1:
        return [state]
    states: list[Any] = [None] * world_size
    distributed.all_gather_object(states, state)
    return states


def _random_states() -> dict[str, Any]:
    numpy: Any = np.random.get_state(legacy=False)  # noqa: NPY002  for code that still draws from NumPy's global state
    return {
        "python": random.getstate(),
        "numpy": numpy | {"state": {"key": numpy["state"]["key"].tolist(), "pos": numpy["state"]["pos"]}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    key = np.array(states["numpy"]["state"]["key"], dtype=np.uint32)
    np.random.set_state(states["numpy"] | {"state": states["numpy"]["state"] | {"key": key}})  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
