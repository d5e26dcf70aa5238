"""What a resumed run needs beside weights and optimiser to equal an uninterrupted one."""

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
    """Adds to every checkpoint where training stands and what each process holds, and takes it up again.

    That is: the position (epoch and batch), from which the sampler goes on; of each process its random states and
    what it has counted of the epoch's means; the latest metrics, at which schedules may look before the next
    validation; and how far the loggers have come.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds `resume`: plain values and tensors."""
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
        """Lets the sampler begin at the position.

        Raises:
            UserError: The position lies within an epoch, and batches are put together differently now.
        """
        if trainer.state.fn != "fit":
            return
        if "resume" not in checkpoint:
            log.warning("the checkpoint was written without callbacks.resume_state: what follows may differ")
            return
        self._loaded = resume = checkpoint["resume"]
        before = (len(resume["processes"]), resume["batch_size"])
        data = resumable_data(trainer)
        now = (trainer.world_size, data.batch_size)
        if resume["batch"] and before != now:
            raise UserError(
                f"the checkpoint was written within an epoch by {count(before[0], 'process', 'processes')} with "
                f"data.batch_size={before[1]}; {now[0]} with data.batch_size={now[1]} cannot go on from there. Resume "
                "with the same numbers."
            )
        data.start_at(epoch=resume["epoch"], batch=resume["batch"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes up the rest, once the Trainer has reset what it resets."""
        resume, self._loaded = self._loaded, {}
        if not resume:
            return
        log.info("going on in epoch %d before batch %d", resume["epoch"], resume["batch"])
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in resume["figures"].items()})
        if len(resume["processes"]) == trainer.world_size:
            process = resume["processes"][trainer.global_rank]
            _set_random_states(process["random"])
            if resume["batch"]:
                pl_module.load_epoch_state(process["counted"])  # type: ignore[operator]
        if resume["batch"] == 0:
            trainer.fit_loop.restarting = False  # nothing is half done: the next epoch begins as any other


def _position(trainer: pl.Trainer) -> tuple[int, int]:
    """Epoch, and batches of it that are done; (e, 0) also when all of epoch e - 1 is done."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return epochs.processed, 0 if epochs.processed == epochs.started else batches.processed


def _settle(loops: dict[str, Any], *, between_epochs: bool) -> None:
    """Takes back what the Trainer has announced and not begun: Lightning expects checkpoints at other moments."""
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
    numpy: Any = np.random.get_state(legacy=False)  # noqa: NPY002  whatever still draws from it goes on with it
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
