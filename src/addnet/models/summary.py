"""One pass through a network, told stage by stage: shapes, parameters, multiply-adds, gradients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError
from addnet.models.add_block import ADDBlock
from addnet.models.bandpass import BandpassLayer
from addnet.models.blurs import multiply_adds
from addnet.models.network import ADDNet

SMALLEST_IMAGE = 32


@dataclass
class Stage:
    """What one stage of the network costs.

    Attributes:
        name: As in `ADDNet.stages`.
        attention: Whether an ADD block ends the stage.
        shape: Of its output for one picture: (C, h, w), or (classes,).
        parameters: How many numbers it holds.
        multiply_adds: Of its convolutions, linear layers and blurs in a forward pass of one picture.
    """

    name: str
    attention: bool
    shape: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0


@dataclass
class Summary:
    """The stages of a network and which trainable parameters got no finite gradient."""

    stages: list[Stage]
    trainable: int
    without_gradient: list[str]

    @property
    def parameters(self) -> int:
        """How many numbers all stages hold."""
        return sum(stage.parameters for stage in self.stages)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of a forward pass of one picture."""
        return sum(stage.multiply_adds for stage in self.stages)


def summarise(net: ADDNet, *, image_size: int = 299, batch_size: int = 2) -> Summary:
    """Runs one training step's forward and backward on random pictures and masks, and measures it.

    Args:
        net: In training mode afterwards, with gradients.
        image_size: Side of the pictures in pixels.
        batch_size: Pictures in the batch, at least 2: batch normalisation may see one pixel at the end.

    Raises:
        UserError: The pictures are too small.
    """
    place = next(net.parameters()).device
    if image_size < SMALLEST_IMAGE:
        raise UserError(f"image_size={image_size} leaves nothing of a picture; use {SMALLEST_IMAGE} or more.")
    image = torch.randn(batch_size, net.in_chans, image_size, image_size, device=place)
    mask = torch.rand(batch_size, 1, image_size, image_size, device=place)
    parts = list(net.stages())
    stages = [_stage(*part) for part in parts]
    watched = zip(stages, parts, strict=True)
    hooks = [hook for stage, (_, modules, _) in watched for hook in _watch(stage, modules)]
    net.train().zero_grad()
    try:
        logits = net(image, mask)
    finally:
        for hook in hooks:
            hook.remove()
    shape = tuple(image.shape[1:])
    for stage in stages:  # a stage without modules passes on what it got
        shape = stage.shape = stage.shape or shape
    labels = torch.arange(batch_size, device=place) % logits.shape[1]
    torch.autograd.backward(functional.cross_entropy(logits, labels))
    return Summary(stages, sum(p.numel() for p in net.parameters() if p.requires_grad), without_gradient(net))


def without_gradient(net: nn.Module) -> list[str]:
    """Returns the names of trainable parameters whose gradient is missing or not finite."""
    return [
        name
        for name, parameter in net.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.isfinite().all()))
    ]


def table(summary: Summary, *, title: str = "") -> Table:
    """Draws a summary for the terminal."""
    drawn = Table(title=title or None, show_footer=True)
    drawn.add_column("stage", footer="total")
    drawn.add_column("output", justify="right")
    drawn.add_column("parameters", justify="right", footer=f"{summary.parameters:,}")
    drawn.add_column("multiply-adds, 10⁶", justify="right", footer=f"{summary.multiply_adds / 1e6:,.1f}")
    for stage in summary.stages:
        drawn.add_row(
            stage.name + (" · ADD" if stage.attention else ""),
            " × ".join(map(str, stage.shape)),
            f"{stage.parameters:,}",
            f"{stage.multiply_adds / 1e6:,.1f}",
        )
    return drawn


def _stage(name: str, modules: tuple[nn.Module, ...], parameters: tuple[nn.Parameter, ...]) -> Stage:
    attention = any(isinstance(module, ADDBlock) for module in modules)
    return Stage(name, attention, parameters=sum(parameter.numel() for parameter in parameters))


def _watch(stage: Stage, modules: Iterable[nn.Module]) -> list[Any]:
    """Hooks the modules so that a forward pass fills in the stage's shape and multiply-adds."""
    hooks: list[Any] = []
    for module in modules:
        hooks.append(module.register_forward_hook(partial(_note_shape, stage)))
        hooks += [part.register_forward_hook(partial(_count, stage)) for part in module.modules()]
    return hooks


def _note_shape(stage: Stage, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
    stage.shape = tuple(output.shape[1:])


def _count(stage: Stage, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
    each = output[0].numel()
    if isinstance(module, nn.Conv2d):
        stage.multiply_adds += each * module.weight[0].numel()
    elif isinstance(module, nn.Linear):
        stage.multiply_adds += each * module.in_features
    elif isinstance(module, BandpassLayer):
        channels, height, width = inputs[0].shape[1:]
        place = output.device
        stage.multiply_adds += channels * multiply_adds(height, width, taps=module.kernel_size, device=place)
