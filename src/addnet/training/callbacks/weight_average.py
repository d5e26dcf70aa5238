"""An average of the weights, of all steps or of the last epochs: validated, tested and stored in their place."""

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
    """Keeps an average of the network's weights and of its batch normalisation's statistics.

    Either an exponential one over optimiser steps, or the mean of the weights at the ends of the last epochs (Izmailov
    et al. 2018, arXiv 1803.05407); until the first of these has ended, and so where a training is stopped before, that
    is the weights themselves.

    The average stands in the network's place during validation and once training is over, and under
    `state_dict` in every checkpoint, which so loads as any other; the weights that learn are beside it under
    `weight_average`, so that a resumed run goes on exactly.

    Lightning 2.6.6 has `EMAWeightAveraging`, which this is not: it averages the whole module, mistakes one buffer
    for the next where class weights come in after setup, and loads the learning weights back when the best
    checkpoint is tested after a fit.

    Args:
        decay: Of the average at each optimiser step, in (0, 1); 0.999 averages about the last 1,000 steps.
        epochs: How many of the last epochs of a training are averaged instead, at least 2.

    Raises:
        UserError: A value lies outside, or both are given.
    """

    def __init__(self, decay: float | None = None, *, epochs: int | None = None) -> None:
        if epochs is None:
            require_number("ema_decay", decay)
            if decay is None or not 0 < decay < 1:
                raise UserError(f"ema_decay={decay} must lie in (0, 1); 0.999 is usual, null switches it off")
        elif decay is not None:
            raise UserError(f"ema_decay={decay} and average_epochs={epochs} are two averages; use one of them")
        elif not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 2:
            raise UserError(f"average_epochs={epochs!r} must be a whole number of at least 2; null switches it off")
        self.decay, self.epochs = decay, epochs
        self._average: AveragedModel | None = None
        self._in_place = False  # whether the average stands in the network, and the weights in its copy
        self._steps = 0
        self._restored: tuple[dict[str, Tensor], int] | None = None

    @classmethod
    def wanted(cls, decay: float | None, epochs: int | None) -> WeightAverage | None:
        """The average that settings ask for, if any; arguments and errors as of the class."""
        return None if decay is None and epochs is None else cls(decay, epochs=epochs)

    # ---- training ------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the average, or takes it up where a checkpoint left it."""
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
        if not counts:  # a copy of the weights, which is no part of the mean
            self._average.n_averaged.zero_()
        for mean, value in zip(self._average.module.buffers(), net.buffers(), strict=True):
            if not mean.is_floating_point():  # a mean of counts would be cut to whole numbers
                mean.copy_(value)

    def _counts(self, trainer: pl.Trainer) -> bool:
        if self.epochs is None:
            return True
        return trainer.is_last_batch and trainer.current_epoch >= (trainer.max_epochs or 0) - self.epochs

    def check_trainer(self, trainer: pl.Trainer) -> None:
        """Looks whether it is known which epochs are the last.

        Raises:
            UserError: It isn't, or there are fewer.
        """
        if self.epochs is None or getattr(trainer, "fast_dev_run", False):
            return
        if trainer.max_steps != -1:
            raise UserError(
                f"average_epochs={self.epochs} is about the last epochs, and trainer.max_steps={trainer.max_steps} may "
                "end the training before them; use trainer.max_epochs alone, with trainer.max_steps=-1"
            )
        if self.epochs > (trainer.max_epochs or 0):
            raise UserError(
                f"average_epochs={self.epochs} needs a training of at least so many epochs, and trainer.max_epochs="
                f"{trainer.max_epochs}; use fewer, or more epochs"
            )

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the average in the network's place; not before training has begun."""
        if not self._in_place:
            self._swap(pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the weights back."""
        if trainer.state.fn == "fit" and self._in_place:
            self._swap(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves the average in the network."""
        self.on_validation_epoch_start(trainer, pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lets go of the copy."""
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
        """Stores the average as the network, and the weights that learn beside it."""
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
        """Takes both up when training is resumed; a run without an average before starts it from its weights."""
        saved = checkpoint.get("weight_average")
        if trainer.state.fn != "fit" or saved is None:
            return
        state = checkpoint["state_dict"]
        average = {key.removeprefix(_PREFIX): state[key].clone() for key in state if key.startswith(_PREFIX)}
        # a mean that was made otherwise, such as with other epochs, starts anew
        self._restored = average, saved["updates"] if saved.get("epochs") == self.epochs else 0
        _net(pl_module).load_state_dict(saved["weights"])


def learning_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint that learn, by their keys in `state_dict`; empty if they are what it holds there."""
    weights: Mapping[str, Tensor] = checkpoint.get("weight_average", {}).get("weights", {})
    return {_PREFIX + key: value for key, value in weights.items()}


def _net(pl_module: pl.LightningModule) -> nn.Module:
    return cast("nn.Module", pl_module.net)
