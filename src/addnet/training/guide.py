"""What guides features to the face: the share of a network's evidence that lies outside the attention mask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from addnet.errors import UserError
from addnet.models.add_block import pool_mask

_TINY = torch.finfo(torch.float32).tiny
_CLOSE = 1e-3  # of the largest feature: how far apart two ways to the same pooled features may lie
_IMAGES = 2


def evidence(net: nn.Module, features: Tensor, mask: Tensor) -> Tensor:
    """What each position of the last features says for fake: the class activation map of fake minus that of real.

    The weights of the classifier on the features of each position, without its bias (Zhou et al. 2016, arXiv
    1512.04150). With average pooling the mean over positions is the logit of fake minus that of real, but for the bias;
    of a cosine head it is so many times that as the pooled features are long. Computed in float32.

    Args:
        net: As `check_network` wants it.
        features: From its `forward_features`.
        mask: (B, 1, H, W).

    Returns:
        (B, h, w) float32.
    """
    asked: Any = net
    positions = asked.position_features(features, mask)
    with torch.autocast(features.device.type, enabled=False):
        weight = asked.get_classifier().weight.float()
        # from differences and sums: a product of matrices may run in TF32
        found: Tensor = (positions.float() * (weight[1] - weight[0])[:, None, None]).sum(dim=1)
    return found


def outside(found: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """The share of the evidence, whichever class it speaks for, that lies outside the mask; the mean over rows.

    Σ |e| (1 − m) / Σ |e| over the positions, e being the evidence and m the mask averaged to its grid: 0 where all of
    it lies where the mask is 1, and with a mask of ones.

    Args:
        found: (B, h, w) float32 from `evidence`.
        mask: (B, 1, H, W) in [0, 1].
        valid: (B,) bool; rows that are False don't count.

    Returns:
        A scalar in [0, 1], float32; 0 with a gradient of 0 where no row counts.

    Example:
        >>> found, mask = torch.tensor([[[3.0, -1.0]]]), torch.tensor([[[[1.0, 0.0]]]])
        >>> outside(found, mask, torch.tensor([True]))
        tensor(0.2500)
    """
    with torch.autocast(found.device.type, enabled=False):
        rows = valid[:, None, None]
        zero = torch.zeros((), device=found.device)
        size = torch.where(rows, found, zero).abs()  # before and behind: gradients of 0 also of nan
        left = 1 - torch.where(rows, pool_mask(mask.float(), (found.shape[-2], found.shape[-1]))[:, 0], zero)
        shares = (size * left).sum(dim=(1, 2)) / size.sum(dim=(1, 2)).clamp(min=_TINY)
        return (shares * valid).sum() / valid.sum().clamp(min=1)


@torch.no_grad()
def check_positions(net: nn.Module, side: int, option: str) -> None:
    """Looks whether a network's logits are made of what it finds at positions, by one pass of noise.

    Its pooled features have to be those of the average over the positions of its last features, with nothing on the way
    that mixes images or positions.

    Args:
        net: Its description says which form its last features have.
        side: Of the images in pixels.
        option: What needs it, for the message.

    Raises:
        UserError: They aren't.
    """
    training, noise = net.training, torch.Generator().manual_seed(0)
    place = next(net.parameters())
    try:
        reason = _objection(net.eval(), *(drawn.to(place) for drawn in _noise(side, noise)))
    finally:
        net.train(training)
    if reason:
        name = getattr(getattr(net, "description", None), "name", type(net).__name__)
        raise UserError(f"{option} does not go with {name} at {side} pixels: {reason}, or leave loss.guide at 0")


def _noise(side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    image = torch.rand(_IMAGES, 3, side, side, generator=generator) * 2 - 1
    return image, torch.ones(_IMAGES, 1, side, side)


def _objection(net: Any, image: Tensor, mask: Tensor) -> str:
    classifier = net.get_classifier()
    if not isinstance(classifier, nn.Linear) or classifier.out_features != 2:
        return f"its classifier is {classifier}; use a linear or cosine head of two classes"
    last = net.description.stages[-1]
    features = net.forward_features(image, mask)
    features = features * torch.linspace(0.5, 2, features[0].numel(), device=image.device).view_as(features[0])
    try:
        maps = last.maps(features, mask)
        if maps[0, 0].numel() == 1:
            return "its last features have one position alone; use larger images"
        with _NormalisationRecorder(net) as normalised:
            whole = net.forward_head(features, pre_logits=True)
            mean = net.forward_head(last.apart(maps.mean(dim=(2, 3), keepdim=True)), pre_logits=True)
    except (UserError, RuntimeError, AssertionError, IndexError):  # pooling that is made for one grid, or no grid
        return "its last features are no grid that can be taken apart; use a network with average pooling"
    if whole.shape != mean.shape or not (whole - mean).abs().max() <= _CLOSE * whole.abs().max():
        return (
            "it doesn't average its last features, so that positions have no share in its logits; use average pooling, "
            "such as ++model.options.global_pool=avg of a transformer"
        )
    if normalised.names:
        return f"{normalised.names[0]} normalises over the batch behind the last features; use another network"
    return ""


class _NormalisationRecorder:
    """Notes the batch normalisations that run meanwhile, by name."""

    def __init__(self, net: nn.Module) -> None:
        self.names: list[str] = []
        self._layers = {name: part for name, part in net.named_modules() if isinstance(part, _BatchNorm)}

    def __enter__(self) -> _NormalisationRecorder:
        self._hooks = [
            layer.register_forward_pre_hook(lambda *_, name=name: self.names.append(name))
            for name, layer in self._layers.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
