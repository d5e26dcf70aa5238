"""Row 9b: what this CPU can do at most, and the share of it that a training step of the network reaches."""

from __future__ import annotations

import torch
from measure import Ratio, Work, race
from runs import BareLoop, made_up_batch
from table import Row
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from addnet.models import create_model

_SIDE, _CHANNELS, _MAPS = 1536, 256, 38  # of a matrix; channels and side of a convolution's maps
_NAMED = 5  # operators


def share_row(*, batch: int = 8, size: int = 299, rounds: int = 3) -> Row:
    """Row 9b: the multiply-adds of a float32 training step at the CPU's measured peak, and the step itself."""
    net = create_model("bandpass", pretrained=False).to(memory_format=torch.channels_last)
    loop, made = BareLoop.of(net, torch.channels_last), made_up_batch(batch, size)
    products = {"matrix": _matrix(), "convolution": _convolution(batch)}
    works = {name: work for name, (work, _) in products.items()} | {"step": lambda: loop.step(*made)}
    times = race(works, rounds=rounds, seconds=0.2)
    step = times.pop("step")
    rates = [max(amount / times[name].rounds[turn] for name, (_, amount) in products.items()) for turn in range(rounds)]
    needed = multiply_adds(net, *made[:2])
    shares = [needed / rate / taken for rate, taken in zip(rates, step.rounds, strict=True)]
    peak, at_peak = max(rates), needed / max(rates)
    return Row(
        "9b",
        "multiply-adds of a training step at peak",
        "training step, float32",
        Ratio.of(shares),
        None,
        {"a step": step.median, "its multiply-adds at peak": at_peak, "an image": step.median / batch},
        f"{needed / batch / 1e9:.3g} G multiply-adds an image and step, {torch.get_num_threads()} threads; peak "
        f"{peak / 1e9:.3g} G/s: the better of a matrix product and a convolution; of the step: {operators(loop, made)}",
    )


def multiply_adds(net: nn.Module, image: Tensor, mask: Tensor) -> float:
    """Multiply-adds of one training step: the forward pass three times.

    torch's counter takes the backward pass of a depthwise convolution for one without groups: it can't be asked.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(image, mask)
    net.train()
    return 1.5 * int(counter.get_total_flops())


def operators(loop: BareLoop, made: tuple[Tensor, Tensor, Tensor]) -> str:
    """The operators that take most of a step's time, with their shares."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        loop.step(*made)
    taken = {event.key.removeprefix("aten::"): event.self_cpu_time_total for event in profiler.key_averages()}
    first = sorted(taken, key=taken.__getitem__, reverse=True)[:_NAMED]
    return ", ".join(f"{name} {taken[name] / sum(taken.values()):.0%}" for name in first)


def _matrix() -> tuple[Work, float]:
    """A product of two matrices, and its multiply-adds."""
    one, other = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE)
    return lambda: one @ other, _SIDE**3


def _convolution(batch: int) -> tuple[Work, float]:
    """A convolution with 3 × 3 kernels, and its multiply-adds."""
    maps = torch.rand(batch, _CHANNELS, _MAPS, _MAPS).contiguous(memory_format=torch.channels_last)
    kernels = torch.rand(_CHANNELS, _CHANNELS, 3, 3).contiguous(memory_format=torch.channels_last)
    return lambda: nn.functional.conv2d(maps, kernels, padding=1), batch * (_MAPS * _CHANNELS * 3) ** 2
