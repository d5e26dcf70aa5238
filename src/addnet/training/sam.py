"""Sharpness-aware steps: the gradient is taken where the loss is worst nearby, the step from where the weights are."""

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
    """Two passes a step instead of one (Foret et al. 2021, arXiv 2010.01412, algorithm 1).

    The first gives the gradient g at the weights w, the second that at w + rho · g / ‖g‖, which the optimiser then gets
    for a step from w. Both see the same batch and the same dropout. Statistics of batch normalisation, what is logged
    and what is counted are those of the first. With several processes gradients are averaged before either use, so that
    all go to the same place; they are clipped once, after the second; a loss scale cancels out in the direction, and
    where a gradient overflows the scaler leaves the step out as always. Nothing has to be kept from step to step.

    Args:
        rho: How far to look, in the norm of all weights that learn together; above 0.

    Raises:
        UserError: `rho` isn't a number above 0.
    """

    def __init__(self, rho: float) -> None:
        require_number("optimizer.sam_rho", rho)
        if not 0 < rho < float("inf"):
            raise UserError(f"optimizer.sam_rho={rho} must be a number above 0; 0.05 is usual, null switches it off")
        self.rho = rho
        self.second = False  # whether the pass that is under way is the second of its step

    def check_trainer(self, trainer: pl.Trainer) -> None:
        """Looks whether the Trainer hands over whole batches and whole gradients.

        Raises:
            UserError: It accumulates gradients, or each process has a part of the weights.
        """
        if trainer.accumulate_grad_batches > 1:
            raise UserError(
                f"optimizer.sam_rho={self.rho} does not go with trainer.accumulate_grad_batches="
                f"{trainer.accumulate_grad_batches}: the second pass of a step would need all its batches again; use "
                "trainer.accumulate_grad_batches=1, and grad_checkpointing=true for large batches"
            )
        require_whole_gradients(trainer, f"optimizer.sam_rho={self.rho}")

    def both(
        self, closure: Callable[[], Any], net: nn.Module, learning: Callable[[], list[nn.Parameter]]
    ) -> Callable[[], Any]:
        """A closure that runs both passes, and leaves the weights where they were and the gradient of the second.

        Args:
            closure: Runs one pass: forward, gradients cleared, backward.
            net: Its buffers are those of the first pass in the end.
            learning: Asked after the first pass: the parameters that the step is about to change.
        """

        def passes() -> Any:
            devices = [tensor.device for tensor in net.parameters() if tensor.is_cuda][:1]
            with torch.random.fork_rng(devices=devices):  # so that the second draws the same
                given = closure()
            with _moved(learning(), self.rho), _restored(list(net.buffers())):
                self.second = True
                try:
                    closure()
                finally:
                    self.second = False
            return given

        return passes


def require_whole_gradients(trainer: pl.Trainer, option: str) -> None:
    """Looks whether each process has all weights and gradients.

    Args:
        trainer: Whose strategy decides it.
        option: What needs them, for the message.

    Raises:
        UserError: A process has a part of them only.
    """
    if not isinstance(trainer.strategy, (SingleDeviceStrategy, DDPStrategy)):
        raise UserError(
            f"{option} does not go with {type(trainer.strategy).__name__}, where a process has a part of the network "
            "only; use trainer=ddp, or leave it out"
        )


@contextmanager
def _moved(parameters: list[nn.Parameter], rho: float) -> Iterator[None]:
    """Within, the weights lie `rho` along their gradient; not where that is none or no number."""
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
    """Afterwards they hold what they held, to the last bit, also where something fails within."""
    kept = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)
