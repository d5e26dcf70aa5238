"""Which part of the backbone is trained: the one that `model.tune` selects, optionally none in the first epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer

from addnet.errors import UserError
from addnet.models.tuning import at_rest


class FreezeBackbone(pl.Callback):
    """Freezes `net.backbone` for the first epochs, and the layers that aren't tuned for all: weights and statistics.

    Frozen layers run in evaluation mode, so that batch normalisation neither uses nor counts the batches. The state is
    derived from the epoch at every step, so that a run that is resumed in the middle of an epoch, where
    `on_train_epoch_start` isn't called, continues correctly.

    Args:
        epochs: Number of epochs for which the whole backbone is frozen, at least 0.

    Raises:
        UserError: `epochs` is negative or not a whole number.
    """

    def __init__(self, epochs: int) -> None:
        if not isinstance(epochs, int) or epochs < 0:
            raise UserError(
                f"freeze_backbone_epochs={epochs!r} must be a whole number of at least 0; 0 freezes nothing"
            )
        self.epochs = epochs
        self._at_rest: list[nn.Module] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Shows the optimiser every trainable weight, even if an interrupted training left some frozen."""
        self._at_rest = None
        _ask_for_gradients(pl_module, True)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freezes or unfreezes the backbone, and restores the modes of layers that validation has changed."""
        if self._at_rest is None:  # only now has the strategy replaced layers by synchronised ones
            self._at_rest = at_rest(_net(pl_module))
        frozen = trainer.current_epoch < self.epochs
        _backbone(pl_module).train(not frozen)
        for module in self._at_rest:
            module.eval()
        # DDP ignores parameters that were frozen when it wrapped the network, so with DDP they keep their gradients
        _ask_for_gradients(pl_module, not frozen or trainer.world_size > 1)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Drops the gradients: without one an optimiser changes neither weight nor moments, and applies no decay."""
        if trainer.current_epoch < self.epochs:
            for parameter in _backbone(pl_module).parameters():
                parameter.grad = None

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves the network trainable."""
        _ask_for_gradients(pl_module, True)


def _ask_for_gradients(pl_module: pl.LightningModule, ask: bool) -> None:
    for parameter in _trainable(pl_module):
        parameter.requires_grad_(ask)


def _trainable(pl_module: pl.LightningModule) -> Iterator[nn.Parameter]:
    """The parameters of the backbone that the module trains."""
    names = cast("frozenset[str]", pl_module.learning)
    return (parameter for name, parameter in _backbone(pl_module).named_parameters() if f"backbone.{name}" in names)


def _net(pl_module: pl.LightningModule) -> nn.Module:
    return cast("nn.Module", pl_module.net)


def _backbone(pl_module: pl.LightningModule) -> nn.Module:
    return cast("nn.Module", _net(pl_module).backbone)
