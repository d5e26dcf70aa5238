"""Classifiers: pooled features → logits."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import require_choice

HEADS = ("linear", "cosine", "cosine_bias")
_SHORTEST = 1e-6  # norm of features below which they aren't normalised to 1, as the gradient would be unbounded


class CosineHead(nn.Linear):
    """Computes each class's logit as the norm of its weight times the cosine between its weight and the features.

    The logits depend on the direction of the features, not on their norm. The norms of the weights are learned: there
    is no fixed scale, and no bias unless requested. As in GenD (WACV 2026), whose head is a linear layer with a bias on
    L2-normalised features.

    Shapes:
        features: (B, num_features), any float dtype; normalised in float32.
        returns: (B, num_classes) logits.

    Args:
        num_features: Size of the pooled features.
        num_classes: Size of the output.
        bias: Whether to add a bias to each logit.

    Example:
        >>> import torch
        >>> head, features = CosineHead(8, 2), torch.randn(3, 8)
        >>> torch.allclose(head(features), head(5 * features), atol=1e-6)
        True
        >>> [name for name, _ in head.named_parameters()]
        ['weight']
    """

    def __init__(self, num_features: int, num_classes: int, *, bias: bool = False) -> None:
        super().__init__(num_features, num_classes, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the logits, (B, num_classes)."""
        directions = functional.normalize(features.float(), dim=1, eps=_SHORTEST)
        return super().forward(directions.to(self.weight.dtype))


def build_head(kind: str, num_features: int, num_classes: int) -> nn.Module:
    """Builds a randomly initialised classifier.

    Args:
        kind: `linear`, or `cosine` or `cosine_bias`: see `CosineHead`.
        num_features: Size of the pooled features.
        num_classes: Size of the output; 0 returns the features unchanged.

    Raises:
        UserError: The kind is unknown.
    """
    require_choice("model.head", kind, HEADS)
    if not num_classes:
        return nn.Identity()
    if kind == "linear":
        return nn.Linear(num_features, num_classes)
    return CosineHead(num_features, num_classes, bias=kind == "cosine_bias")
