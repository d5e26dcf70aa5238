"""Rows 1 to 3: the bandpass layer beside 2-D kernels, kornia and the network behind it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import torch
from device import all_done, device
from measure import race
from peers import DepthwiseBandpass, kornia_difference
from runs import BareLoop, made_up_batch
from table import Row
from torch import Tensor, nn

from addnet.models import BandpassLayer, create_model

KERNEL, SIDE, THREADS = 31, 299, 2


def rows(batch: int = 8) -> Iterator[Row]:
    """The layer as it is trained, with kernel 31, on a GPU or on two threads."""
    torch.set_num_threads(THREADS)
    shape = (batch, 3, SIDE, SIDE)
    image = torch.rand(shape, device=device())
    gradient = torch.randn(shape, device=device())
    layer, peer = BandpassLayer(KERNEL).to(device()), DepthwiseBandpass(KERNEL).to(device())
    low, high = layer.sigma_low.item(), layer.sigma_high.item()

    def step(module: nn.Module) -> Tensor:
        out: Tensor = module(image)
        out.backward(gradient)
        return out

    @torch.no_grad()
    def forward() -> Tensor:
        out: Tensor = layer(image)
        return out

    @torch.no_grad()
    def kornia() -> Tensor:
        return kornia_difference(image, KERNEL, low, high)

    torch.testing.assert_close(peer(image), forward(), atol=1e-5, rtol=0)
    contenders = {"2-D kernels": lambda: step(peer), "ours": lambda: step(layer)}
    long = race(all_done(contenders), rounds=3, seconds=0 if device().type == "cpu" else 0.2)
    if importlib.util.find_spec("kornia"):
        torch.testing.assert_close(kornia(), forward(), atol=1e-5, rtol=0)
        short = race(all_done({"ours": lambda: step(layer), "ours, forward": forward, "kornia, forward": kornia}))
    else:
        short = {}
    what = "bandpass layer, forward and gradient"
    times = {name: time.median for name, time in (long | short).items()}
    yield Row("1", what, "2-D depthwise kernels", long["2-D kernels"].over(long["ours"]), (">=", 30), times)
    if short:
        both, alone, theirs = short.values()
        yield Row("2a", what, "kornia, forward", both.over(theirs), ("<=", 2.5))
        yield Row("2b", "bandpass layer, forward", "kornia, forward", alone.over(theirs), ("<=", 1))
    yield beside_network(layer, image, gradient)


def beside_network(layer: nn.Module, image: Tensor, gradient: Tensor) -> Row:
    """Row 3: the layer beside a training step of the network that it stands in front of."""
    net = create_model("addnet", pretrained=False).to(device(), memory_format=torch.channels_last)
    loop, made_up = BareLoop.of(net, torch.channels_last), made_up_batch(len(image), image.shape[-1])

    def band() -> None:
        layer(image).backward(gradient)

    times = race(all_done({"network": lambda: loop.step(*made_up), "layer": band}), rounds=3, seconds=0)
    share = times["layer"].over(times["network"])
    seconds = {name: time.median for name, time in times.items()}
    return Row(
        "3", "bandpass layer, forward and gradient", "training step of the network", share, ("<=", 0.04), seconds
    )
