"""Rows 1 to 3: the bandpass layer beside 2-D kernels, kornia and the network behind it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from measure import race
from peers import DepthwiseBandpass, kornia_difference
from table import Row
from torch import Tensor, nn

from addnet.models import BandpassLayer, create_model

KERNEL, SHAPE, THREADS = 31, (8, 3, 299, 299), 2


def rows() -> Iterator[Row]:
    """The layer as it is trained (kernel 31, a batch of 8), on two threads."""
    torch.set_num_threads(THREADS)
    image = torch.rand(SHAPE)
    gradient = torch.randn(SHAPE)
    layer, peer = BandpassLayer(KERNEL), DepthwiseBandpass(KERNEL)
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

    torch.testing.assert_close(kornia(), forward(), atol=1e-5, rtol=0)
    torch.testing.assert_close(peer(image), forward(), atol=1e-5, rtol=0)
    short = race({"ours": lambda: step(layer), "ours, forward": forward, "kornia, forward": kornia})
    long = race({"2-D kernels": lambda: step(peer), "ours": lambda: step(layer)}, rounds=3, seconds=0)
    both, alone, theirs = short.values()
    what = "bandpass layer, forward and gradient"
    times = {name: time.median for name, time in (long | short).items()}
    yield Row("1", what, "2-D depthwise kernels", long["2-D kernels"].over(long["ours"]), (">=", 30), times)
    yield Row("2a", what, "kornia, forward", both.over(theirs), ("<=", 2.5))
    yield Row("2b", "bandpass layer, forward", "kornia, forward", alone.over(theirs), ("<=", 1))
    yield beside_network(layer, image, gradient)


def beside_network(layer: nn.Module, image: Tensor, gradient: Tensor) -> Row:
    """Row 3: the layer beside a training step of the network that it stands in front of."""
    net = create_model("addnet", pretrained=False).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters())
    picture, mask = image.contiguous(memory_format=torch.channels_last), torch.rand(len(image), 1, *image.shape[2:])
    labels = torch.arange(len(image)) % 2

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(picture, mask), labels).backward()
        optimizer.step()

    def band() -> None:
        layer(image).backward(gradient)

    times = race({"network": step, "layer": band}, rounds=3, seconds=0)
    share = times["layer"].over(times["network"])
    seconds = {name: time.median for name, time in times.items()}
    return Row(
        "3", "bandpass layer, forward and gradient", "training step of the network", share, ("<=", 0.04), seconds
    )
