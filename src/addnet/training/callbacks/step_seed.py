"""Seeds dropout and other random layers by the position of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch


class StepSeed(pl.Callback):
    """Seeds torch before each training step with (seed, epoch, batch, rank).

    Randomness inside the network then depends only on the position of training, so that a resumed run continues
    exactly as the interrupted one would have.

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds the step."""
        address = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(address).generate_state(1, np.uint64)[0] >> 1))
