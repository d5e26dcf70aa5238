"""A network for images of one size, made of operators that every exporter supports.

ONNX has no adaptive pooling to sizes that don't divide the input: at 299 pixels the exporter expands it to 3,500 nodes,
and everything else to 140. A learnable kernel would also be rebuilt for each image. At a fixed size both become
products with constant matrices, which average or blur rows and columns.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.models import ADDBlock, ADDNet, BandpassLayer, Stage

_PADDING = {"reflect": "reflect", "replicate": "edge"}  # the border's name in torch, and in NumPy


class FixedNetwork(nn.Module):
    """Computes the logits of an ADDNet for images of one size.

    It shares the weights of the network.

    Shapes:
        image: (B, C, S, S) float32 in [-1, 1].
        mask: (B, 1, S, S) float32 in [0, 1]; required but ignored with `placement="none"`.
        returns: (B, num_classes) logits.

    Args:
        net: The network in evaluation mode; it isn't changed.
        size: Side S of the images in pixels.

    Example:
        >>> import torch
        >>> from addnet.models import ADDNet2D_Xception
        >>> net = ADDNet2D_Xception().eval()
        >>> image, mask = torch.rand(1, 3, 75, 75), torch.rand(1, 1, 75, 75)
        >>> torch.allclose(FixedNetwork(net, 75)(image, mask), net(image, mask), atol=1e-5)
        True
    """

    @torch.no_grad()
    def __init__(self, net: ADDNet, size: int) -> None:
        super().__init__()
        weights = {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())}
        self.net: ADDNet = copy.deepcopy(net, weights)
        if net.bandpass is not None:
            self.net.bandpass = FixedBandpass(cast("BandpassLayer", net.bandpass), size)
        self.net.pool = "adaptive"  # pooling happens in the blocks: a chain of averages is one matrix
        for site, matrix in _matrices(net, size).items():
            self.net.set_block(site, FixedBlock(net.block_at(site), matrix))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Returns the logits, (B, num_classes)."""
        return cast("Tensor", self.net(image, mask))


def fixed(net: ADDNet, size: int) -> nn.Module:
    """Returns the network for images of one size, in evaluation mode.

    Args:
        net: The network in evaluation mode; it isn't changed.
        size: Side S of the images in pixels.
    """
    return FixedNetwork(net, size).eval()


def _matrices(net: ADDNet, size: int) -> dict[str, Tensor]:
    """Returns, for each site with an ADD block, the matrix (h, S) that averages the rows or columns of a mask.

    A pass with an image of zeros finds the sizes. The grid of a block may differ from that of its site: with `attend`
    it acts on the tokens that the attention after the site reads.
    """
    grids: dict[str, int] = {}
    acts_on: dict[str, int] = {}
    mask = torch.ones(1, 1, size, size)

    def note(stage: Stage, _module: nn.Module, _inputs: object, output: Any) -> None:
        grids[stage.name] = stage.grid(stage.taken(output), mask)[0]

    def note_block(site: str, block: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        acts_on[site] = Stage(site, "", str(block.form), prefix=cast("int", block.prefix)).grid(inputs[0], mask)[0]

    sites = [net.description.stage(name) for name in net.description.sites]
    hooks = [net.place(stage.name)[0].register_forward_hook(partial(note, stage)) for stage in sites if stage.module]
    hooks += [net.block_at(site).register_forward_pre_hook(partial(note_block, site)) for site in net.placement]
    try:
        net(torch.zeros(1, net.in_chans, size, size), mask)
    finally:
        for hook in hooks:
            hook.remove()
    matrix, found = torch.eye(size, dtype=torch.float64), {}
    for stage in sites:
        if net.pool == "chain":
            matrix = averages(len(matrix), grids.get(stage.name, size)) @ matrix  # the image itself has the mask's size
        if stage.name in net.placement:
            found[stage.name] = averages(len(matrix), acts_on[stage.name]) @ matrix
    return found


class FixedBlock(nn.Module):
    """An ADD block whose mask is averaged with a constant matrix to the size of the features.

    Args:
        block: The block, for maps or tokens.
        matrix: (h, S) averages of rows or columns, from `averages`.
    """

    matrix: Tensor | None

    def __init__(self, block: ADDBlock, matrix: Tensor) -> None:
        super().__init__()
        self.block = block
        self.register_buffer("matrix", None if len(matrix) == matrix.shape[1] else matrix.float())

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Returns the output of the block, in the shape of `features`."""
        if self.matrix is not None:
            mask = self.matrix @ mask @ self.matrix.T
        return cast("Tensor", self.block(features, mask))


class FixedBandpass(nn.Module):
    """A bandpass layer whose two blurs, with their borders, are constant matrices.

    Args:
        layer: The layer.
        size: Side S of the images in pixels.

    Raises:
        UserError: The images are too small for the layer.
    """

    columns: Tensor
    narrow: Tensor
    wide: Tensor

    def __init__(self, layer: BandpassLayer, size: int) -> None:
        super().__init__()
        layer.band(torch.zeros(1, 1, size, size))  # raises where an image is too small
        self.mode = layer.mode
        narrow, wide = (blurs(kernel, size, layer.border).float() for kernel in layer.kernels())
        self.register_buffer("columns", torch.cat([narrow, wide]))
        self.register_buffer("narrow", narrow.T.contiguous())
        self.register_buffer("wide", wide.T.contiguous())

    def forward(self, image: Tensor) -> Tensor:
        """Returns the band, image and band concatenated, or their sum, according to `mode`."""
        low, high = (self.columns @ (image - image[..., :1, :1])).chunk(2, dim=-2)
        band = low @ self.narrow - high @ self.wide
        if self.mode == "replace":
            return band
        return torch.cat([image, band], dim=1) if self.mode == "concat" else image + band


def averages(side: int, small: int) -> Tensor:
    """Returns the matrix of adaptive average pooling of a line, (small, side) float64.

    Example:
        >>> averages(3, 2)
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.5000, 0.5000]], dtype=torch.float64)
    """
    line = torch.eye(side, dtype=torch.float64)[:, None]
    return functional.adaptive_avg_pool1d(line, small)[:, 0].T.contiguous()


def blurs(kernel: Tensor, side: int, border: str) -> Tensor:
    """Returns the matrix of a blur of a line by a kernel of odd length, (side, side) float64, with its border mode."""
    radius = len(kernel) // 2
    # (side + 2 * radius,) the pixel that each padded position repeats
    sources = torch.from_numpy(np.pad(np.arange(side), radius, mode=_PADDING[border]))  # type: ignore[call-overload]
    matrix = torch.zeros(side, side, dtype=torch.float64)
    for line in range(side):
        matrix[line].index_add_(0, sources[line : line + len(kernel)], kernel.detach().double())
    return matrix
