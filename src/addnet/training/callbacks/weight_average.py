"""An average of the weights over all steps or the last epochs, which is validated, tested and stored in their place."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_avg_fn

from addnet.errors import UserError
from addnet.signatures import require_number

_PREFIX = "net."


class WeightAverage(pl.Callback):
    """Keeps an average of the network's weights and of the statistics of its batch normalisation.

    The average is either exponential over optimiser steps, or the mean of the weights at the ends of the last epochs
    (Izmailov et al. 2018, arXiv 1803.05407). Until the first of these epochs has ended, and therefore also if training
    stops earlier, that mean is the current weights.

    The network holds the average during validation and after training. Every checkpoint stores it under `state_dict`
    and so loads like any other checkpoint; the trainable weights themselves are stored under `weight_average`, so that
    a resumed run continues exactly.

    Lightning 2.6.6 has `EMAWeightAveraging`, which can't be used here: it averages the whole module, confuses buffers
    if class weights are added after setup, and restores the trainable weights when the best checkpoint is tested after
    a fit.

    Args:
        decay: Decay of the average at each optimiser step, in (0, 1); 0.999 averages about the last 1,000 steps.
        epochs: Number of last epochs to average instead, at least 2.

    Raises:
        UserError: A value is out of its range, or both are given.
    """

    def __init__(self, decay: float | None = None, *, epochs: int | None = None) -> None:
        if epochs is None:
            require_number("ema_decay", decay)
            if decay is None or not 0 < decay < 1:
                raise UserError(f"ema_decay={decay} must lie in (0, 1); 0.999 is usual, null switches it off")
        elif decay is not None:
            raise UserError(f"ema_decay={decay} and average_epochs={epochs} exclude each other; use one of them")
        elif not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 2:
            raise UserError(f"average_epochs={epochs!r} must be a whole number of at least 2; null switches it off")
        self.decay, self.epochs = decay, epochs
        self._average: AveragedModel | None = None
        self._in_place = False  # whether the network holds the average, and the copy the weights
        self._steps = 0
        self._restored: tuple[dict[str, Tensor], int] | None = None

    @classmethod
    def wanted(cls, decay: float | None, epochs: int | None) -> WeightAverage | None:
        """Creates the average that the settings ask for; None if both are None.

        Args:
            decay: Decay of an exponential average, in (0, 1).
            epochs: Number of last epochs to average instead, at least 2.

        Raises:
            UserError: A value is out of its range, or both are given.
        """
        return None if decay is None and epochs is None else cls(decay, epochs=epochs)

    # ---- training ------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the average, or restores it from the checkpoint."""
        self.check_trainer(trainer)
        how: dict[str, Any] = {"avg_fn": get_swa_avg_fn()}  # type: ignore[no-untyped-call]
        if self.decay is not None:
            how = {"multi_avg_fn": get_ema_multi_avg_fn(self.decay)}  # type: ignore[no-untyped-call]
        self._average = AveragedModel(_net(pl_module), use_buffers=True, **how)
        self._in_place = False
        self._steps = trainer.global_step
        if self._restored:
            state, updates = self._restored
            self._average.module.load_state_dict(state)
            self._average.n_averaged.fill_(updates)
            self._restored = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds the weights to the average after each optimiser step that counts."""
        if self._average is None or trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        net, counts = _net(pl_module), self._counts(trainer)
        if not counts and self._average.n_averaged:
            return
        self._average.update_parameters(net)
        if not counts:  # a copy of the weights that doesn't enter the mean
            self._average.n_averaged.zero_()
        for mean, value in zip(self._average.module.buffers(), net.buffers(), strict=True):
            if not mean.is_floating_point():  # a mean of counts would be truncated to whole numbers
                mean.copy_(value)

    def _counts(self, trainer: pl.Trainer) -> bool:
        if self.epochs is None:
            return True
        return trainer.is_last_batch and trainer.current_epoch >= (trainer.max_epochs or 0) - self.epochs

    def check_trainer(self, trainer: pl.Trainer) -> None:
        """Checks that the last epochs of the training are known in advance.

        Raises:
            UserError: `trainer.max_steps` is set, or the training has fewer epochs than are to be averaged.
        """
        if self.epochs is None or getattr(trainer, "fast_dev_run", False):
            return
        if trainer.max_steps != -1:
            raise UserError(
                f"average_epochs={self.epochs} averages the last epochs, but trainer.max_steps={trainer.max_steps} may "
                "end the training before them; use trainer.max_epochs alone, with trainer.max_steps=-1"
            )
        if self.epochs > (trainer.max_epochs or 0):
            raise UserError(
                f"average_epochs={self.epochs} is more than trainer.max_epochs={trainer.max_epochs}; lower "
                "average_epochs or raise trainer.max_epochs"
            )

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swaps the average into the network, unless training has not begun."""
        if not self._in_place:
            self._swap(pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swaps the weights back into the network."""
        if trainer.state.fn == "fit" and self._in_place:
            self._swap(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves the average in the network."""
        self.on_validation_epoch_start(trainer, pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Releases the copy."""
        self._average, self._in_place = None, False

    @torch.no_grad()
    def _swap(self, pl_module: pl.LightningModule) -> None:
        if self._average is None:
            return
        net, copy = _net(pl_module), self._average.module
        pairs = zip(chain(net.parameters(), net.buffers()), chain(copy.parameters(), copy.buffers()), strict=True)
        for one, other in pairs:
            kept = one.clone()
            one.copy_(other)
            other.copy_(kept)
        self._in_place = not self._in_place

    # ---- checkpoints ---------------------------------------------------------------------------------------

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Stores the average as `state_dict`, and the trainable weights under `weight_average`."""
        if self._average is None:
            return
        states = [_net(pl_module).state_dict(), self._average.module.state_dict()]
        weights, average = reversed(states) if self._in_place else states
        checkpoint["state_dict"] = checkpoint["state_dict"] | {_PREFIX + key: value for key, value in average.items()}
        checkpoint["weight_average"] = {"weights": dict(weights), "updates": int(self._average.n_averaged)}
        checkpoint["weight_average"] |= {"epochs": self.epochs} if self.epochs else {}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restores both when training is resumed; without a stored average, it starts from the weights."""
        saved = checkpoint.get("weight_average")
        if trainer.state.fn != "fit" or saved is None:
            return
        state = checkpoint["state_dict"]
        average = {key.removeprefix(_PREFIX): state[key].clone() for key in state if key.startswith(_PREFIX)}
        # a mean over a different number of epochs can't be continued, so it starts again
        self._restored = average, saved["updates"] if saved.get("epochs") == self.epochs else 0
        _net(pl_module).load_state_dict(saved["weights"])


def learning_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The trainable weights of a checkpoint, by their keys in `state_dict`; empty if `state_dict` itself holds them."""
    weights: Mapping[str, Tensor] = checkpoint.get("weight_average", {}).get("weights", {})
    return {_PREFIX + key: value for key, value in weights.items()}


def _net(pl_module: pl.LightningModule) -> nn.Module:
    return cast("nn.Module", pl_module.net)
