"""How many pictures make an optimiser step, and how many steps an epoch."""

from __future__ import annotations

import math

import pytorch_lightning as pl

from addnet.training.optim import ENDLESS


def steps_per_epoch(trainer: pl.Trainer) -> int:
    """Optimiser steps of one epoch: Lightning also steps on the last batch of an epoch, however few were accumulated.

    Needed while optimisers are configured, when the loader may not be there yet.
    """
    trainer.fit_loop.setup_data()  # `estimated_stepping_batches` leaves it out with max_steps alone (Lightning 2.6.6)
    batches = min(trainer.num_training_batches, ENDLESS)
    return max(1, math.ceil(batches / trainer.accumulate_grad_batches))


def describe_batches(trainer: pl.Trainer) -> str:
    """One line: the effective batch size, what it is made of, and the optimiser steps of an epoch."""
    pictures = getattr(trainer.train_dataloader, "batch_size", None) or 1
    processes, accumulated = trainer.world_size, trainer.accumulate_grad_batches
    each = f"{processes} {'processes' if processes > 1 else 'process'}"
    return (
        f"effective batch size {pictures * processes * accumulated} = {pictures} pictures × {each} × {accumulated} "
        f"accumulated; {steps_per_epoch(trainer)} optimiser steps an epoch"
    )
