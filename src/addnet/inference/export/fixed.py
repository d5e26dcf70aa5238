"""A network for pictures of one size, made of what every exporter knows.

ONNX has no adaptive pooling to sizes that don't divide: at 299 pixels the exporter makes 3,500 nodes of it, 140 of
all the rest. And a learnable kernel would be built anew for each picture. At one size both are products with constant
matrices: averaging rows and columns of a mask, blurring those of a picture. Batch normalisation is constant too, and
becomes part of the convolution before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

from addnet.models import SITES, ADDBlock, ADDNet2D_Xception, BandpassLayer

_PADDING = {"reflect": "reflect", "replicate": "edge"}  # the border's name in torch, and in NumPy


class FixedNetwork(nn.Module):
    """Gives the logits of an ADDNet, for pictures of one size.

    Its layers are those of the network itself, not copies.

    Shapes:
        image: (B, C, S, S) float32 in [-1, 1].
        mask: (B, 1, S, S) float32 in [0, 1]; taken, and not looked at, with `placement="none"`.
        returns: (B, num_classes) logits.

    Args:
        net: In evaluation mode.
        size: Side S of the pictures in pixels.

    Example:
        >>> import torch
        >>> net = ADDNet2D_Xception().eval()
        >>> image, mask = torch.rand(1, 3, 75, 75), torch.rand(1, 1, 75, 75)
        >>> torch.allclose(FixedNetwork(net, 75)(image, mask), net(image, mask), atol=1e-5)
        True
    """

    def __init__(self, net: ADDNet2D_Xception, size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_layers(net, size))
        self.head = net.get_classifier()

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Returns the logits, (B, num_classes)."""
        features = image
        for layer in self.layers:
            features = layer(features, mask) if isinstance(layer, FixedBlock) else layer(features)
        return cast("Tensor", self.head(features.mean(dim=(2, 3))))


def fixed(net: ADDNet2D_Xception, size: int) -> nn.Module:
    """The network for pictures of one size, in evaluation mode, its convolutions fused with what normalises them.

    Fused here because the exporter can't write batch normalisation with torch 2.6 (onnxscript#2651; 2.7 ends that).

    Args:
        net: In evaluation mode; left as it is.
        size: Side S of the pictures in pixels.
    """
    network = FixedNetwork(net, size).eval()
    return fuse(fx.GraphModule(network, _Tracer().trace(network)), no_trace=True)


class _Tracer(fx.Tracer):
    """Leaves alone what looks at shapes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (FixedBlock, FixedBandpass)) or super().is_leaf_module(m, module_qualified_name)


@torch.no_grad()
def _layers(net: ADDNet2D_Xception, size: int) -> Iterator[nn.Module]:
    """What runs one after the other, but for dropout and classifier; a pass of zeros tells the sizes."""
    features = torch.zeros(1, net.in_chans, size, size)
    matrix = torch.eye(size, dtype=torch.float64)
    for stage, modules in net.stages():
        if stage == "head":
            return
        for module in modules:
            if not isinstance(module, ADDBlock):
                layer = FixedBandpass(module, size) if isinstance(module, BandpassLayer) else module
                features = layer(features)
                yield layer
        if stage in SITES:
            side = features.shape[-1]
            matrix = averages(len(matrix), side) @ matrix if net.pool == "chain" else averages(size, side)
        if stage in net.add_blocks:
            yield FixedBlock(cast("ADDBlock", net.add_blocks[stage]), matrix)


class FixedBlock(nn.Module):
    """An ADD block whose mask is averaged by a constant matrix.

    Args:
        block: The block.
        matrix: (h, S) averages of rows and columns.
    """

    matrix: Tensor | None

    def __init__(self, block: ADDBlock, matrix: Tensor) -> None:
        super().__init__()
        self.block = block
        self.register_buffer("matrix", None if len(matrix) == matrix.shape[1] else matrix.float())

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Returns the weighted features, (B, C, h, h)."""
        if self.matrix is not None:
            mask = self.matrix @ mask @ self.matrix.T
        return cast("Tensor", self.block(features, mask))


class FixedBandpass(nn.Module):
    """A bandpass layer whose two blurs are constant matrices, borders included.

    Args:
        layer: The layer.
        size: Side S of the pictures in pixels.

    Raises:
        UserError: The pictures are too small for it.
    """

    columns: Tensor
    narrow: Tensor
    wide: Tensor

    def __init__(self, layer: BandpassLayer, size: int) -> None:
        super().__init__()
        layer.band(torch.zeros(1, 1, size, size))  # raises where a picture is too small
        self.mode = layer.mode
        narrow, wide = (blurs(kernel, size, layer.border).float() for kernel in layer.kernels())
        self.register_buffer("columns", torch.cat([narrow, wide]))
        self.register_buffer("narrow", narrow.T.contiguous())
        self.register_buffer("wide", wide.T.contiguous())

    def forward(self, image: Tensor) -> Tensor:
        """Returns band, image and band, or their sum, as `mode` says."""
        low, high = (self.columns @ (image - image[..., :1, :1])).chunk(2, dim=-2)
        band = low @ self.narrow - high @ self.wide
        if self.mode == "replace":
            return band
        return torch.cat([image, band], dim=1) if self.mode == "concat" else image + band


def averages(side: int, small: int) -> Tensor:
    """(small, side) float64: what adaptive average pooling does to a line.

    Example:
        >>> averages(3, 2)
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.5000, 0.5000]], dtype=torch.float64)
    """
    line = torch.eye(side, dtype=torch.float64)[:, None]
    return functional.adaptive_avg_pool1d(line, small)[:, 0].T.contiguous()


def blurs(kernel: Tensor, side: int, border: str) -> Tensor:
    """(side, side) float64: what a kernel of odd length does to a line; taps beyond an end fold back into it."""
    radius = len(kernel) // 2
    sources = torch.from_numpy(np.pad(np.arange(side), radius, mode=_PADDING[border]))  # type: ignore[call-overload]
    matrix = torch.zeros(side, side, dtype=torch.float64)
    for line in range(side):
        matrix[line].index_add_(0, sources[line : line + len(kernel)], kernel.detach().double())
    return matrix
