"""Sharpness-aware steps: the gradient is computed where the nearby loss is worst, the step starts at the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from addnet.errors import UserError
from addnet.signatures import require_number


class SharpnessAware:
    """Runs two passes per step instead of one (Foret et al. 2021, arXiv 2010.01412, algorithm 1).

    The first pass computes the gradient g at the weights w; the second computes the gradient at w + rho · g / ‖g‖,
    which the optimiser uses for a step from w. Both passes see the same batch and the same dropout. Batch normalisation
    statistics, logged values and counts are those of the first pass. With several processes, gradients are averaged
    before either use, so that all processes move to the same place; they are clipped once, after the second pass. A
    loss scale cancels out in the direction; if a gradient overflows, the scaler skips the step as usual. No state is
    kept between steps.

    Args:
        rho: Length of the move, in the norm of all trainable weights together; above 0.

    Raises:
        UserError: `rho` isn't a number above 0.
    """

    def __init__(self, rho: float) -> None:
        require_number("optimizer.sam_rho", rho)
        if not 0 < rho < float("inf"):
            raise UserError(f"optimizer.sam_rho={rho} must be a number above 0; 0.05 is usual, null switches it off")
        self.rho = rho
        self.second = False  # whether the current pass is the second of its step

    def check_trainer(self, trainer: pl.Trainer) -> None:
        """Checks that the Trainer provides whole batches and whole gradients.

        Raises:
            UserError: It accumulates gradients, or each process has only a part of the weights.
        """
        if trainer.accumulate_grad_batches > 1:
            raise UserError(
                f"optimizer.sam_rho={self.rho} can't be combined with trainer.accumulate_grad_batches="
                f"{trainer.accumulate_grad_batches}: the second pass of a step would need all its batches again; use "
                "trainer.accumulate_grad_batches=1, and grad_checkpointing=true for large batches"
            )
        require_whole_gradients(trainer, f"optimizer.sam_rho={self.rho}")

    def both(
        self, closure: Callable[[], Any], net: nn.Module, learning: Callable[[], list[nn.Parameter]]
    ) -> Callable[[], Any]:
        """Returns a closure that runs both passes, restores the weights and leaves the gradient of the second pass.

        Args:
            closure: Runs one pass: forward, gradients cleared, backward.
            net: The network; its buffers end up as the first pass left them.
            learning: Called after the first pass; returns the parameters that the step is about to change.
        """

        def passes() -> Any:
            devices = [tensor.device for tensor in net.parameters() if tensor.is_cuda][:1]
            with torch.random.fork_rng(devices=devices):  # so that the second pass has the same dropout
                result = closure()
            with _moved(learning(), self.rho), _restored(list(net.buffers())):
                self.second = True
                try:
                    closure()
                finally:
                    self.second = False
            return result

        return passes


def require_whole_gradients(trainer: pl.Trainer, option: str) -> None:
    """Checks that each process has all weights and gradients.

    Args:
        trainer: The Trainer, whose strategy decides it.
        option: The option that requires them, for the message.

    Raises:
        UserError: A process has only a part of them.
    """
    if not isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy)):
        raise UserError(
            f"{option} can't be combined with {type(trainer.strategy).__name__}, where each process has only a part of "
            "the network; use trainer=ddp, or leave it out"
        )


@contextmanager
def _moved(parameters: list[nn.Parameter], rho: float) -> Iterator[None]:
    """Inside the context, the weights are moved by `rho` along their gradient, unless its norm is 0 or not finite."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients))
    with _restored([parameter.detach() for parameter in parameters]):
        if 0 < norm < math.inf:
            with torch.no_grad():
                for parameter in parameters:
                    if parameter.grad is not None:
                        parameter.add_(parameter.grad, alpha=rho / norm)
        yield


@contextmanager
def _restored(tensors: list[Tensor]) -> Iterator[None]:
    """Restores the tensors bit for bit on exit, even after an exception."""
    kept = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)
