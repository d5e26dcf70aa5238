"""Explains a score: Grad-CAM at any block, the band that the network sees, and the effect of covering each organ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError, require_choice
from addnet.faces.masks import Mask
from addnet.faces.occlusion import ORGANS, occlude
from addnet.inference.detector import Detector
from addnet.inference.one_at_a_time import alone_with
from addnet.inference.preprocessing import FaceView
from addnet.models import ADDNet, BandpassLayer

TARGETS = ("fake", "real")


@dataclass(frozen=True)
class Explanation:
    """The explanation of the score of one face.

    Attributes:
        seen: The face.
        score: The network's probability of fake.
        mask: (S, S) float32 in [0, 1], the attention mask.
        block: The stage or module at which Grad-CAM was computed.
        heat: (S, S) float32 in [0, 1], the Grad-CAM map of evidence for fake; zeros where there is none.
        band: (S, S, 3) float32, the output of the bandpass layer; None without one.
        response: Frequencies in cycles per pixel, and the gain at each; None without a bandpass layer.
        without: By organ, the decrease of the log odds of fake when it is covered; empty without a face.
    """

    seen: FaceView
    score: float
    mask: Mask
    block: str
    heat: NDArray[np.float32]
    band: NDArray[np.float32] | None
    response: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    without: Mapping[str, float]


def explain(detector: Detector, seen: FaceView, *, block: str | None = None) -> Explanation:
    """Explains the score of one face.

    Args:
        detector: The detector.
        seen: From `Preprocessing.of_image`.
        block: Stage or module for Grad-CAM; None: the network's default, `description.explained`.
    """
    image, mask = detector.tensors([seen])
    block = block_of(detector, block)
    layer = next((part for part in detector.net.modules() if isinstance(part, BandpassLayer)), None)
    heat = grad_cam(detector.net, image, mask, block=block)[0]
    band = response = None
    if layer is not None:
        with torch.no_grad():
            band = layer.band(image)[0].permute(1, 2, 0).cpu().numpy()
        frequencies, gain = layer.frequency_response()
        response = frequencies.cpu().numpy(), gain.cpu().numpy()
    score, without = _without_organs(detector, seen)
    return Explanation(seen, score, mask[0, 0].cpu().numpy(), block, heat.cpu().numpy(), band, response, without)


def block_of(detector: Detector, block: str | None) -> str:
    """Returns the stage or module at which Grad-CAM is computed: `block`, or the network's default.

    Raises:
        UserError: The network has no such stage or module (the message lists those it has), or no default.
    """
    net = cast("ADDNet", detector.net)
    if block is None and not net.description.explained:
        raise UserError(
            f"{net.description.name} has no default block for Grad-CAM, because {net.description.lacking}; "
            "name a module of the backbone that returns feature maps with block=NAME"
        )
    where = net.description.explained if block is None else block
    net.place(where)
    return where


def grad_cam(net: nn.Module, image: Tensor, mask: Tensor | None, *, block: str, of: str = "fake") -> Tensor:
    """Computes Grad-CAM maps of the evidence for a class (Selvaraju et al. 2017, arXiv 1610.02391).

    Channels are weighted by the mean gradient of the difference of the logits and summed; negative values become 0. At
    a stage with an ADD block, the output of the block is used.

    Args:
        net: An `ADDNet`, in evaluation mode.
        image: (B, 3, S, S) float32 in [-1, 1].
        mask: (B, 1, S, S) in [0, 1].
        block: A stage of the network, or a module of its backbone.
        of: The class: `fake` or `real`.

    Returns:
        (B, S, S) float32 in [0, 1]: each map divided by its maximum; zeros where nothing supports the class.

    Raises:
        UserError: There is no such block or class.
    """
    module, stage = cast("ADDNet", net).place(block)
    sign = 1 if require_choice("of", of, TARGETS) == "fake" else -1
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Any) -> Any:
        kept.append(stage.taken(output))
        return stage.put(output, kept[-1].clone())  # the next layer may modify its input in place

    with alone_with(net):
        handle = module.register_forward_hook(keep)
        try:
            with torch.enable_grad():
                logits = net(image.clone().requires_grad_(), mask)
                (gradient,) = torch.autograd.grad(sign * (logits[:, 1] - logits[:, 0]).sum(), kept[0])
        finally:
            handle.remove()
    gradient, features = (stage.maps(part, image) for part in (gradient, kept[0].detach()))
    # (B, C, h, w) gradients and features → (B, 1, h, w) map
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True).relu().float()
    heat = functional.interpolate(heat, image.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)


def _without_organs(detector: Detector, seen: FaceView) -> tuple[float, dict[str, float]]:
    """Returns the score of a face, and how much each organ adds to its log odds of fake."""
    if seen.landmarks is None:
        return float(detector.scores([seen])[0]), {}
    covered = [replace(seen, image=occlude(seen.image, seen.landmarks, organ)) for organ in ORGANS]
    scores = detector.scores([seen, *covered])
    odds = np.log(np.clip(scores, 1e-12, 1)) - np.log(np.clip(1 - scores, 1e-12, 1))
    return float(scores[0]), {organ: float(odds[0] - odds[1 + number]) for number, organ in enumerate(ORGANS)}
