"""What of the backbone learns: the part that `model.tune` says, and nothing of it in the first epochs if so wished."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer

from addnet.errors import UserError
from addnet.models.tuning import at_rest


class FreezeBackbone(pl.Callback):
    """Keeps `net.backbone` as it is for the first epochs, and what isn't tuned for all: weights and statistics.

    What stays as it is runs as in evaluation, so that batch normalisation neither looks at batches nor counts them. It
    follows from the epoch alone, at every step: a run that is resumed in the middle of an epoch, where no
    `on_train_epoch_start` is called, goes on as it should.

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
        self._at_rest: list[nn.Module] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lets the optimiser see every weight that learns, also after a training that was interrupted."""
        self._at_rest = None
        _ask_for_gradients(pl_module, True)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freezes or thaws, and undoes what validation did to the mode of the layers."""
        if self._at_rest is None:  # not before the strategy has put synchronised layers in the place of others
            self._at_rest = at_rest(_net(pl_module))
        frozen = trainer.current_epoch < self.epochs
        _backbone(pl_module).train(not frozen)
        for module in self._at_rest:
            module.eval()
        # DDP never learns of parameters that were frozen when it wrapped the network: there they keep their gradients
        _ask_for_gradients(pl_module, not frozen or trainer.world_size > 1)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Drops the gradients: without one an optimiser touches neither weight nor moments, decay included."""
        if trainer.current_epoch < self.epochs:
            for parameter in _backbone(pl_module).parameters():
                parameter.grad = None

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves a network behind that learns."""
        _ask_for_gradients(pl_module, True)


def _ask_for_gradients(pl_module: pl.LightningModule, ask: bool) -> None:
    for parameter in _learning(pl_module):
        parameter.requires_grad_(ask)


def _learning(pl_module: pl.LightningModule) -> Iterator[nn.Parameter]:
    """What of the backbone the module lets learn."""
    names = cast("frozenset[str]", pl_module.learning)
    return (parameter for name, parameter in _backbone(pl_module).named_parameters() if f"backbone.{name}" in names)


def _net(pl_module: pl.LightningModule) -> nn.Module:
    return cast("nn.Module", pl_module.net)


def _backbone(pl_module: pl.LightningModule) -> nn.Module:
    return cast("nn.Module", _net(pl_module).backbone)
