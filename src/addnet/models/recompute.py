"""Gradient checkpointing that updates batch statistics only once (Chen et al. 2016, arXiv 1604.06174)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from addnet.errors import UserError

Context = AbstractContextManager[None]


def recompute(module: nn.Module, enable: bool = True, surroundings: Callable[[], Context] = nullcontext) -> None:
    """Makes a module recompute its forward pass in the backward pass of training, as `recomputed` does.

    Hooks on the module itself run only once, in the forward pass; hooks on modules inside it run again.

    Args:
        module: The module to recompute.
        enable: False restores the ordinary forward pass.
        surroundings: Called in the first pass; the context manager that it returns is entered around the second.
    """
    module.__dict__.pop("forward", None)
    if enable:
        module.forward = _RepeatedForward(module, surroundings)


class _RepeatedForward:
    """The checkpointed forward pass of a module; an object, so that networks can be copied."""

    def __init__(self, module: nn.Module, surroundings: Callable[[], Context]) -> None:
        self.module, self.surroundings = module, surroundings

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        forward = partial(type(self.module).forward, self.module)
        if not self.module.training or not torch.is_grad_enabled():
            return forward(*inputs, **options)
        versions = [given._version for given in inputs if isinstance(given, Tensor)]
        contexts = _contexts([self.module], self.surroundings())
        result = checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)
        if versions != [given._version for given in inputs if isinstance(given, Tensor)]:
            raise UserError(
                f"gradient checkpointing can't recompute {type(self.module).__name__}, because it modifies its inputs "
                "in place; use grad_checkpointing=false"
            )
        return result


def recomputed(layers: Sequence[nn.Module], features: Tensor) -> Tensor:
    """Runs layers one after another, storing only the first input, and runs them again in the backward pass.

    The second pass uses the same random numbers and updates no running statistics: result, gradients and statistics
    are those of an ordinary pass.

    Args:
        layers: At least one layer.
        features: Input of the first layer.

    Returns:
        Output of the last layer.
    """

    def run(given: Tensor) -> Tensor:
        for layer in layers:
            given = layer(given)
        return given

    if not torch.is_grad_enabled():
        return run(features)
    result: Tensor = checkpoint(run, features, use_reentrant=False, context_fn=_contexts(layers))
    return result


def _contexts(layers: Sequence[nn.Module], around: Context | None = None) -> Callable[[], tuple[Context, Context]]:
    norms = [module for layer in layers for module in layer.modules() if isinstance(module, _BatchNorm)]
    return lambda: (nullcontext(), _second(norms, around or nullcontext()))


@contextmanager
def _second(norms: Sequence[_BatchNorm], around: Context) -> Iterator[None]:
    with around, _without_statistics(norms):
        yield


@contextmanager
def _without_statistics(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    # track_running_stats=False would make the two passes save different tensors, which torch refuses
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm, (_, batches) in zip(norms, before, strict=True):
        norm.momentum = 0.0
        norm.num_batches_tracked = None if batches is None else batches.clone()
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
