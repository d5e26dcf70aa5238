"""The difference of two separable blurs of an image, and its derivatives, as products with blocks of a banded matrix.

A pass along one axis is a product with a banded matrix. Cut into blocks of columns, this matrix consists of copies of
one small, dense matrix, so a pass is a few products that a matrix library computes at full speed, whereas convolutions
of single channels are slow. Both blurs share the padded image. The kernels' gradients need no derivative images: they
are the products of each pass's input with the gradient, summed along diagonals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_BLOCK = {"cpu": 32}  # columns; 128 on other devices. A band of 31 taps fills half of such a matrix


def difference_of_blurs(image: Tensor, narrow: Tensor, wide: Tensor, border: str) -> Tensor:
    """Returns `image` blurred by one kernel along both axes, minus `image` blurred by another.

    Args:
        image: (B, C, H, W), float32 or float64.
        narrow: (K,) kernel of the first blur, K odd; of the image's dtype.
        wide: (K,) kernel of the second blur.
        border: `reflect` or `replicate`.

    Returns:
        (B, C, H, W), contiguous. Differentiable once, with respect to all three tensors.
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (image, narrow, wide)):
        difference: Tensor = _Difference.apply(image, narrow, wide, border)
        return difference
    return _difference(image, narrow, wide, border)[0]


class _Difference(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, narrow: Tensor, wide: Tensor, border: str) -> Tensor:
        difference, padded, columns = _difference(image, narrow, wide, border)
        ctx.save_for_backward(padded, *columns, narrow, wide)
        ctx.border = border
        return difference

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        padded, *columns, narrow, wide = ctx.saved_tensors
        kernels = (narrow, wide)
        gradient = gradient.contiguous()
        of_image = None
        if ctx.needs_input_grad[0]:
            of_image = _unblurred(gradient, narrow, ctx.border) - _unblurred(gradient, wide, ctx.border)
        of_kernels = [
            _kernel_gradient(padded, column, kernel, gradient.flatten(0, 1)) if needed else None
            for column, kernel, needed in zip(columns, kernels, ctx.needs_input_grad[1:3], strict=True)
        ]
        if of_kernels[1] is not None:
            of_kernels[1] = -of_kernels[1]
        return of_image, *of_kernels, None


def _difference(image: Tensor, narrow: Tensor, wide: Tensor, border: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Returns the difference, the padded image (BC, H + K − 1, W + K − 1), and its vertical blur by each kernel."""
    height, width = image.shape[-2:]
    radius = len(narrow) // 2
    padded = functional.pad(image, (radius,) * 4, mode=border).flatten(0, 1).contiguous()
    columns = [_along_columns(padded, kernel, height) for kernel in (narrow, wide)]
    parts = []
    for (start, stop, plus), (*_, minus) in zip(_bands(narrow, width), _bands(wide, width), strict=True):
        first, second = (column[..., start : stop + 2 * radius].flatten(0, 1) for column in columns)
        parts.append(torch.addmm(first @ plus, second, minus, alpha=-1))
    return torch.cat(parts, dim=1).view(image.shape), padded, columns


def _along_columns(padded: Tensor, kernel: Tensor, height: int) -> Tensor:
    """Blurs vertically: (N, H + K − 1, W) → (N, H, W)."""
    reach = len(kernel) - 1
    parts = [band.T @ padded[:, start : stop + reach] for start, stop, band in _bands(kernel, height)]
    return torch.cat(parts, dim=1)


def _along_rows(padded: Tensor, kernel: Tensor, width: int) -> Tensor:
    """Blurs horizontally: (N, H, W + K − 1) → (N, H, W)."""
    rows, reach = padded.flatten(0, 1), len(kernel) - 1
    parts = [rows[:, start : stop + reach] @ band for start, stop, band in _bands(kernel, width)]
    return torch.cat(parts, dim=1).view(*padded.shape[:2], width)


def _kernel_gradient(padded: Tensor, column: Tensor, kernel: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with respect to a kernel, (K,), through the horizontal and the vertical pass.

    The passes commute: the first part uses the output of the vertical pass, the second the output that a horizontal
    pass over the padded image would have.

    Args:
        padded: (N, H + K − 1, W + K − 1), the padded image.
        column: (N, H, W + K − 1), the padded image blurred vertically.
        kernel: (K,).
        gradient: (N, H, W), with respect to the blurred image.
    """
    _, height, width = gradient.shape
    taps, reach = len(kernel), len(kernel) - 1
    row = _along_rows(padded, kernel, width)
    total = torch.zeros_like(kernel)
    for start, count in _blocks(width, kernel.device):
        before, after = column[..., start : start + count + reach], gradient[..., start : start + count]
        total = total + _diagonals(before.flatten(0, 1).T @ after.flatten(0, 1), taps)
    for start, count in _blocks(height, kernel.device):
        before, after = row[:, start : start + count + reach], gradient[:, start : start + count]
        total = total + _diagonals((before @ after.mT).sum(dim=0), taps)
    return total


def _unblurred(gradient: Tensor, kernel: Tensor, border: str) -> Tensor:
    """The gradient with respect to the image before blurring: the transposed passes, borders included."""
    rows, columns = (_whole_band(kernel, side, border) for side in gradient.shape[-2:])
    return rows.T @ gradient @ columns


def _band(kernel: Tensor, count: int) -> Tensor:
    """(count + K − 1, count) matrix that correlates a row of samples with the kernel."""
    stretch = count + len(kernel) - 1
    return functional.pad(kernel, (0, count)).repeat(count)[: count * stretch].view(count, stretch).T


def _bands(kernel: Tensor, side: int) -> Iterator[tuple[int, int, Tensor]]:
    """Start, end and matrix of each block along a side; blocks of equal size share one matrix."""
    known: dict[int, Tensor] = {}
    for start, count in _blocks(side, kernel.device):
        if count not in known:
            known[count] = _band(kernel, count)
        yield start, start + count, known[count]


def _diagonals(products: Tensor, taps: int) -> Tensor:
    """Sums the entries at the positions where `_band` holds each tap: (count + K − 1, count) → (K,)."""
    count = products.shape[1]
    return products.T.contiguous().as_strided((count, taps), (count + taps, 1)).sum(dim=0)


def _whole_band(kernel: Tensor, side: int, border: str) -> Tensor:
    """(side, side) matrix that blurs a line; taps beyond an end are folded back into it."""
    last, radius = side - 1, len(kernel) // 2
    offsets = torch.arange(-radius, radius + 1, device=kernel.device)
    sources = torch.arange(side, device=kernel.device)[:, None] + offsets
    folded = last - (last - sources.abs()).abs() if border == "reflect" else sources.clamp(0, last)
    return kernel.new_zeros(side, side).scatter_add(1, folded, kernel.expand(side, -1))


def _blocks(side: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Start and size of blocks of nearly equal size that cover a side."""
    number = max(1, round(side / _BLOCK.get(device.type, 128)))
    size = -(-side // number)
    for start in range(0, side, size):
        yield start, min(size, side - start)
