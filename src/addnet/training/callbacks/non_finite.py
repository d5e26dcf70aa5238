"""Stops training at a NaN or infinite loss, before it reaches the weights."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from addnet.errors import UserError


class StopOnNonFiniteLoss(pl.Callback):
    """Stops training before the gradient of a NaN or infinite loss reaches the weights.

    Raises:
        UserError: The loss isn't finite. The message names the step, the loss, the learning rates and the images of the
            batch.
    """

    def __init__(self) -> None:
        self._paths: list[str] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keeps the paths of the batch."""
        self._paths = list(batch["path"])

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Checks that the loss is finite."""
        if torch.isfinite(loss):
            return
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        paths = "\n".join(f"  {path}" for path in self._paths)
        raise UserError(
            f"the loss became {loss.item()} in epoch {trainer.current_epoch}, step {trainer.global_step} "
            f"(learning rates {rates}). It did not change the weights; last.ckpt holds the last epoch.\n"
            "Try a lower optimizer.lr, trainer.gradient_clip_val=1.0 or trainer.precision=32-true, "
            f"and look at the images of this batch:\n{paths}"
        )
