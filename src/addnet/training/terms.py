"""Loss terms on features that training adds to its loss: on pairs of images, and on positions in the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from addnet.errors import UserError
from addnet.signatures import require_number
from addnet.training.guide import check_positions, evidence, outside
from addnet.training.pairs import alignment, uniformity
from addnet.training.sam import require_whole_gradients

_OF_PAIRS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"uniformity": uniformity, "alignment": alignment}
_USUAL = {"uniformity": 0.5, "alignment": 0.1, "guide": 1}  # the first two from GenD
TERMS = tuple(_USUAL)
_NEEDED = ("forward_features", "forward_head", "get_classifier")
_NEEDED_TO_GUIDE = ("position_features", "description")


class FeaturePass(NamedTuple):
    """The result of a pass that also returns features.

    Attributes:
        logits: (B, 2), as the network's `forward` returns them.
        pooled: (B, D) features that the logits are computed from, after dropout.
        evidence: (B, h, w) float32, see `guide.evidence`; None if it isn't needed.
    """

    logits: Tensor
    pooled: Tensor
    evidence: Tensor | None


class FeatureLoss:
    """The terms and their weights; a weight of 0 leaves a term out.

    Args:
        uniformity: Weight of `uniformity`, at least 0.
        alignment: Weight of `alignment`, at least 0.
        guide: Weight of `guide.outside`, at least 0.

    Raises:
        UserError: A weight is negative or not a finite number.

    Example:
        >>> labels, valid = torch.tensor([0, 0, 1, 1]), torch.ones(4, dtype=torch.bool)
        >>> FeatureLoss(alignment=0.1).of_pairs(torch.eye(4), labels, valid)
        {'alignment': tensor(2.0000)}
    """

    def __init__(self, *, uniformity: float = 0.0, alignment: float = 0.0, guide: float = 0.0) -> None:
        weights = {"uniformity": uniformity, "alignment": alignment, "guide": guide}
        for name, weight in weights.items():
            require_number(f"loss.{name}", weight)
            if not 0 <= weight < float("inf"):
                raise UserError(
                    f"loss.{name}={weight} must be a number of at least 0; {_USUAL[name]} is usual, 0 leaves it out"
                )
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}
        self.pairs = tuple(name for name in self.weights if name in _OF_PAIRS)
        self.guides = "guide" in self.weights

    def __bool__(self) -> bool:
        """Whether there is any term, and so whether features are needed."""
        return bool(self.weights)

    def ask(self, net: nn.Module, image: Tensor, mask: Tensor) -> FeaturePass:
        """Computes logits and features in one pass."""
        network: Any = net
        features = network.forward_features(image, mask)
        pooled = network.forward_head(features, pre_logits=True)
        by_position = evidence(net, features, mask) if self.guides else None
        return FeaturePass(network.get_classifier()(pooled), pooled, by_position)

    def of_pairs(self, features: Tensor, labels: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Each term on pairs by its name, without its weight.

        Args:
            features: (B, D), any float dtype.
            labels: (B,); any value where `valid` is False.
            valid: (B,) bool; rows that are False form no pairs.
        """
        return {name: _OF_PAIRS[name](features, labels, valid) for name in self.pairs}

    def of_places(self, found: Tensor | None, mask: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """The term on positions by its name, without its weight.

        Args:
            found: (B, h, w) float32 from `guide.evidence`; None if there is no such term.
            mask: (B, 1, H, W) in [0, 1].
            valid: (B,) bool; rows that are False don't count.
        """
        return {} if found is None else {"guide": outside(found, mask, valid)}

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The sum of the terms times their weights."""
        return torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()

    def check_network(self, net: nn.Module, side: int | None = None) -> None:
        """Checks that a network provides the features that the terms need.

        Args:
            net: The network.
            side: Side of the images in pixels; None is the size that the network was made for.

        Raises:
            UserError: It lacks a method of timm's networks that a term needs, or its logits can't be attributed to
                positions.
        """
        needed = _NEEDED + (_NEEDED_TO_GUIDE if self.guides else ())
        if self and (lacks := [name for name in needed if not hasattr(net, name)]):
            raise UserError(
                f"{self.told()} needs the features of {type(net).__name__}, which lacks {', '.join(lacks)}; leave "
                f"{' and '.join(f'loss.{name}' for name in self.weights)} at 0, or add them as docs/extending.md shows"
            )
        if self.guides:
            description: Any = net.description
            check_positions(net, side or description.side, self.told("guide"))

    def check_masks(self, preprocessing: dict[str, Any]) -> None:
        """Checks that masks aren't 1 everywhere if features are guided to them.

        Args:
            preprocessing: What is done to images, as a checkpoint stores it.

        Raises:
            UserError: All masks are 1 everywhere.
        """
        if self.guides and (preprocessing.get("mask") or {}).get("parts") == []:
            raise UserError(
                f"{self.told('guide')} can't be combined with mask.parts=[]: masks of ones have no outside, so it "
                "would have no effect; use mask=default, or leave loss.guide at 0"
            )

    def check_trainer(self, trainer: pl.Trainer, rows: int) -> None:
        """Checks that each process has the whole network, and that batches have pairs if a term needs them.

        Args:
            trainer: The Trainer, whose strategy decides it.
            rows: Number of rows of a batch, gathered over processes.

        Raises:
            UserError: A process has only a part of the network, or a batch has no pairs.
        """
        if self:
            require_whole_gradients(trainer, self.told())
        if self.pairs and rows == 1:
            raise UserError(
                f"{self.told(*self.pairs)} needs pairs of images, but data.batch_size=1 has none; use a larger batch"
            )

    def told(self, *names: str) -> str:
        """The named terms with their weights, as they are set in a config; all terms without names."""
        return " and ".join(f"loss.{name}={self.weights[name]:g}" for name in names or self.weights)
