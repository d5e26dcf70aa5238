"""Does an exported network say what PyTorch says? Checked on images that no one has seen before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError

ATOL = 1e-4  # of logits of usual size: what is promised
USUAL = 10.0  # a probability of 0.99995; larger logits may differ in proportion, as float32 does from kernel to kernel
HALF_ATOL = 0.05  # with weights kept as float16: a probability is off by 0.025 at most
_BATCHES = (1, 2, 3)
_SCALES = (4, 16)  # pixels across of noise that is enlarged: images have more than the finest detail

Run = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Parity:
    """What was compared.

    Attributes:
        difference: Largest difference of two logits.
        atol: What was allowed.
        images: How many images were compared.
        batches: Their batch sizes.
        spread: Largest difference of a class's logits between images. Near 0 the comparison says little.
    """

    difference: float
    atol: float
    images: int
    batches: tuple[int, ...]
    spread: float

    def __str__(self) -> str:
        """What is told of it."""
        return (
            f"{self.images} random images in batches of {', '.join(map(str, self.batches))}, with random masks and "
            f"masks of ones: logits differ from PyTorch's by at most {self.difference:.1e} ({self.atol:.0e} allowed) "
            f"and from each other by up to {self.spread:.2g}"
        )


def require_atol(atol: float | None, *, most: float = ATOL) -> float:
    """What is allowed: `atol`, or all that is promised.

    Args:
        atol: Largest difference of logits; None: `most`.
        most: What is promised.

    Raises:
        UserError: `atol` is no number above 0, or above `most`.
    """
    if atol is not None and not 0 < atol <= most:
        raise UserError(f"atol={atol} must lie above 0, and at most at {most:.0e}: what is promised of an export")
    return most if atol is None else atol


@torch.inference_mode()
def check_parity(
    run: Run, net: nn.Module, *, size: int, channels: int = 3, atol: float = ATOL, seed: int = 0
) -> Parity:
    """Compares an exported network with the one it was made from.

    Args:
        run: Gives the exported network's logits, (B, classes), for image and mask as the network gets them.
        net: The network, in evaluation mode.
        size: Side S of the images in pixels.
        channels: Of the images.
        atol: Largest difference that is allowed; up to `ATOL` in proportion of logits above `USUAL`.
        seed: Decides images and masks.

    Raises:
        UserError: They differ by more, or the answer has another shape.
    """
    pairs = [(run(image, mask), net(image, mask)) for image, mask in random_batches(size, channels=channels, seed=seed)]
    for got, wanted in pairs:
        if got.shape != wanted.shape:
            raise UserError(f"the exported network gives {tuple(got.shape)} instead of {tuple(wanted.shape)} logits")
    got, wanted = (torch.cat(part).double() for part in zip(*pairs, strict=True))
    difference = float((got - wanted).abs().max())
    spread = float((wanted.amax(dim=0) - wanted.amin(dim=0)).max())
    allowed = atol * max(1.0, float(wanted.abs().max()) / USUAL) if atol <= ATOL else atol
    if not difference <= allowed:  # also where one is no number
        raise UserError(
            f"the exported network's logits differ from PyTorch's by up to {difference:.2e}, {allowed:.0e} is allowed; "
            "nothing was kept. Try another opset (of format=onnx), or other versions of the exporter's packages"
        )
    return Parity(difference, allowed, len(wanted), tuple(len(each) for each, _ in pairs), spread)


def random_batches(size: int, *, channels: int = 3, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of coarse and fine noise, with masks of random blots and with masks of ones.

    Args:
        size: Side S in pixels.
        channels: Of the images.
        seed: Decides them.

    Yields:
        (B, channels, S, S) in [-1, 1] and (B, 1, S, S) in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(count: int, planes: int, across: int) -> Tensor:
        drawn = torch.rand(count, planes, across, across, generator=generator)
        return functional.interpolate(drawn, (size, size), mode="bilinear") if across != size else drawn

    for count in _BATCHES:
        shares = torch.rand(count, 1, 1, 1, 3, generator=generator).softmax(dim=-1).unbind(dim=-1)
        layers = [noise(count, channels, across) for across in (*_SCALES, size)]
        image = sum(share * layer for share, layer in zip(shares, layers, strict=True))
        yield 2 * torch.as_tensor(image) - 1, noise(count, 1, _SCALES[0])
    yield 2 * noise(2, channels, _SCALES[1]) - 1, torch.ones(2, 1, size, size)
