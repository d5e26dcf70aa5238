"""A loss that guides features to the face: the share of a network's evidence outside the attention mask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from addnet.errors import UserError
from addnet.models.add_block import pool_mask

_TINY = torch.finfo(torch.float32).tiny
_CLOSE = 1e-3  # tolerance between two ways to compute the pooled features, as a share of the largest feature
_IMAGES = 2


def evidence(net: nn.Module, features: Tensor, mask: Tensor) -> Tensor:
    """Evidence for fake at each position of the last features: the class activation map of fake minus that of real.

    It applies the weights of the classifier, without its bias, to the features of each position (Zhou et al. 2016,
    arXiv 1512.04150). With average pooling the mean over positions is the logit of fake minus that of real, bias
    excepted; for a cosine head it is that difference times the norm of the pooled features. Computed in float32.

    Args:
        net: A network that passes `FeatureLoss.check_network`.
        features: Output of its `forward_features`.
        mask: (B, 1, H, W) attention mask.

    Returns:
        (B, h, w) float32.
    """
    network: Any = net
    positions = network.position_features(features, mask)
    with torch.autocast(features.device.type, enabled=False):
        weight = network.get_classifier().weight.float()
        # (B, D, h, w) × (D, 1, 1), summed over D: a matrix product might run in TF32
        total: Tensor = (positions.float() * (weight[1] - weight[0])[:, None, None]).sum(dim=1)
    return total


def outside(found: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
    """The share of the evidence for either class that lies outside the mask, averaged over rows.

    Σ |e| (1 − m) / Σ |e| over the positions, where e is the evidence and m the mask averaged to its grid. It is 0 if
    all evidence lies where the mask is 1, and for a mask of ones.

    Args:
        found: (B, h, w) float32 from `evidence`.
        mask: (B, 1, H, W) in [0, 1].
        valid: (B,) bool; rows that are False don't count.

    Returns:
        A scalar in [0, 1], float32; 0 with a gradient of 0 if no row counts.

    Example:
        >>> found, mask = torch.tensor([[[3.0, -1.0]]]), torch.tensor([[[[1.0, 0.0]]]])
        >>> outside(found, mask, torch.tensor([True]))
        tensor(0.2500)
    """
    with torch.autocast(found.device.type, enabled=False):
        rows = valid[:, None, None]
        zero = torch.zeros((), device=found.device)
        # masked before the arithmetic and after it, so that NaN in a row that doesn't count has a gradient of 0
        size = torch.where(rows, found, zero).abs()
        left = 1 - torch.where(rows, pool_mask(mask.float(), (found.shape[-2], found.shape[-1]))[:, 0], zero)
        shares = (size * left).sum(dim=(1, 2)) / size.sum(dim=(1, 2)).clamp(min=_TINY)
        return (shares * valid).sum() / valid.sum().clamp(min=1)


@torch.no_grad()
def check_positions(net: nn.Module, side: int, option: str) -> None:
    """Checks, by one pass on noise, that a network's logits can be attributed to positions of its last features.

    Its pooled features must equal those of the average over the positions of its last features, and nothing in between
    may mix images or positions.

    Args:
        net: A network whose description gives the form of its last features.
        side: Side of the images in pixels.
        option: The option that requires it, for the message.

    Raises:
        UserError: The logits can't be attributed to positions.
    """
    training, noise = net.training, torch.Generator().manual_seed(0)
    place = next(net.parameters())
    try:
        reason = _objection(net.eval(), *(tensor.to(place) for tensor in _noise(side, noise)))
    finally:
        net.train(training)
    if reason:
        name = getattr(getattr(net, "description", None), "name", type(net).__name__)
        raise UserError(f"{option} can't be used with {name} at {side} pixels: {reason}, or leave loss.guide at 0")


def _noise(side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    image = torch.rand(_IMAGES, 3, side, side, generator=generator) * 2 - 1
    return image, torch.ones(_IMAGES, 1, side, side)


def _objection(net: Any, image: Tensor, mask: Tensor) -> str:
    classifier = net.get_classifier()
    if not isinstance(classifier, nn.Linear) or classifier.out_features != 2:
        return f"its classifier is {classifier}; use a linear or cosine head with two classes"
    last = net.description.stages[-1]
    features = net.forward_features(image, mask)
    features = features * torch.linspace(0.5, 2, features[0].numel(), device=image.device).view_as(features[0])
    try:
        maps = last.maps(features, mask)
        if maps[0, 0].numel() == 1:
            return "its last features have a single position; use larger images"
        with _NormalisationRecorder(net) as normalised:
            whole = net.forward_head(features, pre_logits=True)
            mean = net.forward_head(last.apart(maps.mean(dim=(2, 3), keepdim=True)), pre_logits=True)
    except (UserError, RuntimeError, AssertionError, IndexError):  # pooling made for one grid size, or no grid at all
        return "its last features are not a grid of positions; use a network with average pooling"
    if whole.shape != mean.shape or not (whole - mean).abs().max() <= _CLOSE * whole.abs().max():
        return (
            "it doesn't average its last features, so its logits can't be attributed to positions; use average "
            "pooling, such as ++model.options.global_pool=avg for a transformer"
        )
    if normalised.names:
        return f"{normalised.names[0]} normalises over the batch after the last features; use another network"
    return ""


class _NormalisationRecorder:
    """Records the names of the batch normalisations that run inside the context."""

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
