"""Head, mix amounts and bandpass first: the backbone waits for the first epochs."""

from __future__ import annotations

from typing import Any, cast

import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer

from addnet.errors import UserError


class FreezeBackbone(pl.Callback):
    """Keeps `net.backbone` as it is for the first epochs: weights, and statistics of batch normalisation.

    Whether it is frozen follows from the epoch alone, at every step: a run that is resumed in the middle of an
    epoch, where no `on_train_epoch_start` is called, goes on as it should.

    Args:
        epochs: How many, at least 0.

    Raises:
        UserError: `epochs` is negative or no whole number.
    """

    def __init__(self, epochs: int) -> None:
        if not isinstance(epochs, int) or epochs < 0:
            raise UserError(
                f"freeze_backbone_epochs={epochs!r} must be a whole number of at least 0; 0 freezes nothing"
            )
        self.epochs = epochs

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lets the optimiser see every weight, also after a training that was interrupted."""
        _backbone(pl_module).requires_grad_(True)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freezes or thaws, and undoes what validation did to the mode of the layers."""
        backbone, frozen = _backbone(pl_module), trainer.current_epoch < self.epochs
        backbone.train(not frozen)
        # DDP never learns of parameters that were frozen when it wrapped the network: there they keep their gradients
        backbone.requires_grad_(not frozen or trainer.world_size > 1)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Drops the gradients: without one an optimiser touches neither weight nor moments, decay included."""
        if trainer.current_epoch < self.epochs:
            for parameter in _backbone(pl_module).parameters():
                parameter.grad = None

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves a network behind that learns."""
        _backbone(pl_module).requires_grad_(True)


def _backbone(pl_module: pl.LightningModule) -> nn.Module:
    return cast("nn.Module", cast("nn.Module", pl_module.net).backbone)
