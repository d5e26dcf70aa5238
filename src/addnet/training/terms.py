"""The terms that a training adds to its loss and that are about features: of pairs of images, and where they lie."""

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
_USUAL = {"uniformity": 0.5, "alignment": 0.1, "guide": 1}  # the first two of GenD
TERMS = tuple(_USUAL)
_NEEDED = ("forward_features", "forward_head", "get_classifier")
_NEEDED_TO_GUIDE = ("position_features", "description")


class FeaturePass(NamedTuple):
    """What a pass gives where features are needed.

    Attributes:
        logits: (B, 2), as the network's `forward` gives them.
        pooled: (B, D) features that they are made of, after dropout.
        evidence: (B, h, w) float32, see `guide.evidence`; None where it isn't needed.
    """

    logits: Tensor
    pooled: Tensor
    evidence: Tensor | None


class FeatureLoss:
    """The terms with their weights; 0 leaves one out.

    Args:
        uniformity: Weight of `uniformity`, at least 0.
        alignment: Weight of `alignment`, at least 0.
        guide: Weight of `guide.outside`, at least 0.

    Raises:
        UserError: A weight is negative or no number.

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
        """Whether there is any term, so that features are needed."""
        return bool(self.weights)

    def ask(self, net: nn.Module, image: Tensor, mask: Tensor) -> FeaturePass:
        """Logits and features by one pass."""
        asked: Any = net
        features = asked.forward_features(image, mask)
        pooled = asked.forward_head(features, pre_logits=True)
        found = evidence(net, features, mask) if self.guides else None
        return FeaturePass(asked.get_classifier()(pooled), pooled, found)

    def of_pairs(self, features: Tensor, labels: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Each term over pairs by its name, without its weight; arguments as of `alignment`."""
        return {name: _OF_PAIRS[name](features, labels, valid) for name in self.pairs}

    def of_places(self, found: Tensor | None, mask: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """The term over positions by its name, without its weight; arguments as of `guide.outside`."""
        return {} if found is None else {"guide": outside(found, mask, valid)}

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The sum of the terms times their weights."""
        return torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()

    def check_network(self, net: nn.Module, side: int | None = None) -> None:
        """Looks whether a network gives its features as those of timm do, and where they lie.

        Args:
            net: The network.
            side: Of the images in pixels; None: the size that it was made for.

        Raises:
            UserError: It doesn't, and they are needed.
        """
        needed = _NEEDED + (_NEEDED_TO_GUIDE if self.guides else ())
        if self and (lacks := [name for name in needed if not hasattr(net, name)]):
            raise UserError(
                f"{self.told()} needs the features of {type(net).__name__}, which has no {', '.join(lacks)}; leave "
                f"{' and '.join(f'loss.{name}' for name in self.weights)} at 0, or write them as in docs/extending.md"
            )
        if self.guides:
            description: Any = net.description
            check_positions(net, side or description.side, self.told("guide"))

    def check_masks(self, preprocessing: dict[str, Any]) -> None:
        """Looks whether masks have a shape that features can be guided to.

        Args:
            preprocessing: What is done to images, as a checkpoint keeps it.

        Raises:
            UserError: All of them are 1 everywhere.
        """
        if self.guides and (preprocessing.get("mask") or {}).get("parts") == []:
            raise UserError(
                f"{self.told('guide')} does not go with mask.parts=[]: masks of ones have no outside, so that it would "
                "have no effect; use mask=default, or leave loss.guide at 0"
            )

    def check_trainer(self, trainer: pl.Trainer, rows: int) -> None:
        """Looks whether a Trainer has whole networks, and its batches pairs where they are needed.

        Args:
            trainer: Whose strategy decides it.
            rows: Of a batch, gathered over processes.

        Raises:
            UserError: Something isn't there.
        """
        if self:
            require_whole_gradients(trainer, self.told())
        if self.pairs and rows == 1:
            raise UserError(
                f"{self.told(*self.pairs)} is about pairs of images, and data.batch_size=1 makes none; use more"
            )

    def told(self, *names: str) -> str:
        """Some of the terms as they are set; without names all."""
        return " and ".join(f"loss.{name}={self.weights[name]:g}" for name in names or self.weights)
