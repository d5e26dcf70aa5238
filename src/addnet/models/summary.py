"""One pass through a network, summarised by stage: shapes, parameters, multiply-adds, gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from addnet.errors import UserError
from addnet.models.add_block import ADDBlock
from addnet.models.network import ADDNet
from addnet.models.stages import CHANNELS_LAST, MAPS, TOKENS, Description

SMALLEST_IMAGE = 32


@dataclass
class StageCost:
    """The cost of one stage of a network.

    Attributes:
        name: Name of the stage, as in `ADDNet.stages`.
        attention: Whether it has an ADD block.
        site: Whether an ADD block may follow it.
        form: Form of its output: `maps`, `channels_last` or `tokens`.
        shape: Shape of its output for one image: (C, h, w), (h, w, C), (N, C), or (classes,).
        parameters: Number of its parameters.
        multiply_adds: Multiply-adds of convolutions and matrix products in a forward pass of one image, including those
            of attention and blurs.
    """

    name: str
    attention: bool
    site: bool = False
    form: str = MAPS
    shape: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0

    @property
    def output(self) -> str:
        """The shape in words, with channels before height and width regardless of their order."""
        if self.form == TOKENS and len(self.shape) == 2:
            return f"{self.shape[0]} tokens × {self.shape[1]}"
        last = self.form == CHANNELS_LAST and len(self.shape) == 3
        return " × ".join(map(str, (self.shape[-1], *self.shape[:-1]) if last else self.shape))


@dataclass
class Summary:
    """The costs of a network's stages, and its trainable parameters that received no finite gradient."""

    stages: list[StageCost]
    trainable: int
    without_gradient: list[str]

    @property
    def parameters(self) -> int:
        """Number of parameters of all stages."""
        return sum(stage.parameters for stage in self.stages)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of a forward pass of one image."""
        return sum(stage.multiply_adds for stage in self.stages)


def summarise(net: ADDNet, *, image_size: int = 299, batch_size: int = 2) -> Summary:
    """Runs one forward and backward pass on random images and masks, and measures each stage.

    Args:
        net: The network; it is left in training mode, with gradients.
        image_size: Side of the images in pixels.
        batch_size: Images in the batch, at least 2: batch normalisation may get a single pixel of each at the end.

    Raises:
        UserError: The images are too small.
    """
    place = next(net.parameters()).device
    if image_size < SMALLEST_IMAGE:
        raise UserError(f"image_size={image_size} is too small; use {SMALLEST_IMAGE} or more.")
    image = torch.randn(batch_size, net.in_chans, image_size, image_size, device=place)
    mask = torch.rand(batch_size, 1, image_size, image_size, device=place)
    parts = list(net.stages())
    stages = [_stage(net, *part) for part in parts]
    net.train().zero_grad()
    with _watched([(stage, modules) for stage, (_, modules, _) in zip(stages, parts, strict=True)]):
        logits = net(image, mask)
    shape = tuple(image.shape[1:])
    for stage in stages:  # a stage without modules outputs its input
        shape = stage.shape = stage.shape or shape
        stage.multiply_adds //= batch_size
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
            stage.name + (" · ADD" if stage.attention else " · site" if stage.site else ""),
            stage.output,
            f"{stage.parameters:,}",
            f"{stage.multiply_adds / 1e6:,.1f}",
        )
    return drawn


def told(description: Description) -> Iterator[str]:
    """Yields lines that describe a network beyond its stages: sites, placements, Grad-CAM and start weights."""
    yield f"sites that an ADD block may follow: {', '.join(description.sites)}"
    for name, sites in description.placements.items():
        yield f"model.placement={name}: {', '.join(sites) or 'no ADD block'}"
    if description.lacking:
        yield f"no stage can be followed by attention: {description.lacking}"
    else:
        yield f"default stage for Grad-CAM: {description.explained}"
    mean, std = (", ".join(f"{value:.3g}" for value in values) for values in (description.mean, description.std))
    yield (
        f"start weights of {description.name}: made for {description.side} × {description.side} pixels, mean {mean}, "
        f"standard deviation {std}; the network rescales images accordingly"
    )


def _stage(net: ADDNet, name: str, modules: tuple[nn.Module, ...], parameters: tuple[nn.Parameter, ...]) -> StageCost:
    described = {stage.name: stage for stage in net.description.stages}.get(name)
    return StageCost(
        name,
        attention=name in net.placement,
        site=described is not None and described.site,
        form=described.form if described else MAPS,
        parameters=sum(parameter.numel() for parameter in parameters),
    )


@contextmanager
def _watched(parts: Iterable[tuple[StageCost, tuple[nn.Module, ...]]]) -> Iterator[None]:
    """Records the shapes and multiply-adds of stages while a network runs."""
    counter, counted = FlopCounterMode(display=False), 0

    def since_last() -> int:
        """Multiply-adds since the last call: of the module that has just run, and of operations before it."""
        nonlocal counted
        before, counted = counted, counter.get_total_flops() // 2
        return counted - before

    hooks = [
        module.register_forward_hook(partial(_note, stage, since_last))
        for stage, modules in parts
        for module in modules
    ]
    try:
        with sdpa_kernel(SDPBackend.MATH), counter:  # not every version of torch counts other attention kernels
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _note(
    stage: StageCost, since_last: Callable[[], int], module: nn.Module, inputs: tuple[Any, ...], output: Any
) -> None:
    stage.multiply_adds += since_last()
    if isinstance(output, Tensor) and not isinstance(module, ADDBlock):  # its output isn't the stage's
        stage.shape = tuple(output.shape[1:])
