"""Checks on random images that an exported network gives the same logits as PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError

ATOL = 1e-4  # largest difference allowed for logits up to `USUAL`
USUAL = 10.0  # a probability of 0.99995; larger logits may differ in proportion, as float32 kernels do
HALF_ATOL = 0.05  # with weights stored as float16: probabilities differ by at most 0.025
_BATCHES = (1, 2, 3)
_SCALES = (4, 16)  # pixels: sides of noise that is enlarged, so that images also have coarse detail

Run = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Parity:
    """The result of a comparison.

    Attributes:
        difference: Largest difference of two logits.
        atol: Largest difference that was allowed.
        images: Number of images that were compared.
        batches: Their batch sizes.
        spread: Largest difference of a class's logits between images. Near 0 the comparison shows little.
    """

    difference: float
    atol: float
    images: int
    batches: tuple[int, ...]
    spread: float

    def __str__(self) -> str:
        """Describes the comparison in a sentence."""
        return (
            f"{self.images} random images in batches of {', '.join(map(str, self.batches))}, with random masks and "
            f"masks of ones: logits differ from PyTorch's by at most {self.difference:.1e} ({self.atol:.0e} allowed) "
            f"and from each other by up to {self.spread:.2g}"
        )


def require_atol(atol: float | None, *, most: float = ATOL) -> float:
    """Returns the allowed difference: `atol`, or `most` if it is None.

    Args:
        atol: Largest difference of logits; None: `most`.
        most: Largest valid value.

    Raises:
        UserError: `atol` is not above 0, or larger than `most`.
    """
    if atol is not None and not 0 < atol <= most:
        raise UserError(f"atol={atol} must be above 0 and at most {most:.0e}, the accuracy that exports guarantee")
    return most if atol is None else atol


@torch.inference_mode()
def check_parity(
    run: Run, net: nn.Module, *, size: int, channels: int = 3, atol: float = ATOL, seed: int = 0
) -> Parity:
    """Compares an exported network with the one it was made from.

    Args:
        run: Returns the exported network's logits, (B, classes), for image and mask.
        net: The network, in evaluation mode.
        size: Side S of the images in pixels.
        channels: Number of channels of the images.
        atol: Largest difference that is allowed; a value up to `ATOL` grows in proportion with logits above `USUAL`.
        seed: Seed of the images and masks.

    Raises:
        UserError: The logits differ by more, or have another shape.
    """
    pairs = [(run(image, mask), net(image, mask)) for image, mask in random_batches(size, channels=channels, seed=seed)]
    for got, wanted in pairs:
        if got.shape != wanted.shape:
            raise UserError(f"the exported network gives {tuple(got.shape)} instead of {tuple(wanted.shape)} logits")
    got, wanted = (torch.cat(part).double() for part in zip(*pairs, strict=True))
    difference = float((got - wanted).abs().max())
    spread = float((wanted.amax(dim=0) - wanted.amin(dim=0)).max())
    allowed = atol * max(1.0, float(wanted.abs().max()) / USUAL) if atol <= ATOL else atol
    if not difference <= allowed:  # also raises for NaN
        raise UserError(
            f"the exported network's logits differ from PyTorch's by up to {difference:.2e}, {allowed:.0e} is allowed; "
            "the export was discarded. Try another opset (of format=onnx), or other versions of the exporter's packages"
        )
    return Parity(difference, allowed, len(wanted), tuple(len(each) for each, _ in pairs), spread)


def random_batches(size: int, *, channels: int = 3, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of coarse and fine noise, with masks of random blots and with masks of ones.

    Args:
        size: Side S in pixels.
        channels: Number of channels of the images.
        seed: Seed of images and masks.

    Yields:
        (B, channels, S, S) in [-1, 1] and (B, 1, S, S) in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(count: int, planes: int, across: int) -> Tensor:
        values = torch.rand(count, planes, across, across, generator=generator)
        return functional.interpolate(values, (size, size), mode="bilinear") if across != size else values

    for count in _BATCHES:
        # per image, three random weights that add up to 1, for the three layers of noise
        shares = torch.rand(count, 1, 1, 1, 3, generator=generator).softmax(dim=-1).unbind(dim=-1)
        layers = [noise(count, channels, across) for across in (*_SCALES, size)]
        image = sum(share * layer for share, layer in zip(shares, layers, strict=True))
        yield 2 * torch.as_tensor(image) - 1, noise(count, 1, _SCALES[0])
    yield 2 * noise(2, channels, _SCALES[1]) - 1, torch.ones(2, 1, size, size)
