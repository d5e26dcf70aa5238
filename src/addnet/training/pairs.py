"""What is asked of pairs of features in a batch: alike within a class, and spread over the sphere as a whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError
from addnet.signatures import require_number

SHARPNESS = 2.0  # of the Gaussian in the uniformity: t in Wang and Isola
_LEAST = 1e-6  # of the mean in the uniformity, below which it has no slope (GenD)
_SHORTEST = 1e-6  # length of features below which they are no direction
_USUAL = {"uniformity": 0.5, "alignment": 0.1}  # GenD


def alignment(features: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """The mean over all pairs of one class of ‖a − b‖², a and b being features of length 1.

    Wang and Isola 2020, arXiv 2005.10242, as GenD (WACV 2026) has it: over the pairs of both classes together.

    Args:
        features: (B, D), any float dtype; computed in float32.
        labels: (B,); anything where `valid` is False.
        valid: (B,) bool; rows that are False make no pairs.

    Returns:
        A scalar, float32; 0 with a gradient of 0 where there is no pair.
    """
    distances, pairs, same = _pairs(features, labels, valid)
    counted = pairs & same
    return (distances * counted).sum() / counted.sum().clamp(min=1)


def uniformity(features: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """The logarithm of the mean over all pairs of exp(−2 ‖a − b‖²); arguments, source and result as of `alignment`.

    It lies between −8, where all lie as far apart as they can, and 0, where all are alike.
    """
    distances, pairs, _ = _pairs(features, labels, valid)
    closeness = ((-SHARPNESS * distances).exp() * pairs).sum() / pairs.sum().clamp(min=1)
    return torch.where(pairs.any(), closeness.clamp(min=_LEAST).log(), closeness)


def _pairs(features: Tensor, labels: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each pair the squared distance, whether it counts, and whether both are of one class."""
    with torch.autocast(features.device.type, enabled=False):
        counted = torch.where(valid[:, None], features.float(), torch.zeros((), device=features.device))
        points = functional.normalize(counted, dim=1, eps=_SHORTEST)
        distances = functional.pdist(points).square()  # from differences: a product of matrices may run in TF32
    one, other = torch.triu_indices(len(valid), len(valid), 1, device=valid.device)
    return distances, valid[one] & valid[other], labels[one] == labels[other]


_TERMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"uniformity": uniformity, "alignment": alignment}


class PairLoss:
    """The terms over pairs that a training adds to its loss, with their weights.

    Args:
        uniformity: Weight of `uniformity`, at least 0.
        alignment: Weight of `alignment`, at least 0.

    Raises:
        UserError: A weight is negative or no number.

    Example:
        >>> labels, valid = torch.tensor([0, 0, 1, 1]), torch.ones(4, dtype=torch.bool)
        >>> PairLoss(alignment=0.1).terms(torch.eye(4), labels, valid)
        {'alignment': tensor(2.0000)}
    """

    def __init__(self, *, uniformity: float = 0.0, alignment: float = 0.0) -> None:
        weights = {"uniformity": uniformity, "alignment": alignment}
        for name, weight in weights.items():
            require_number(f"loss.{name}", weight)
            if not 0 <= weight < float("inf"):
                raise UserError(
                    f"loss.{name}={weight} must be a number of at least 0; {_USUAL[name]} is usual, 0 leaves it out"
                )
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}

    def __bool__(self) -> bool:
        """Whether there is any term, so that features are needed."""
        return bool(self.weights)

    def terms(self, features: Tensor, labels: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Each term by its name, without its weight; arguments as of `alignment`."""
        return {name: _TERMS[name](features, labels, valid) for name in self.weights}

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The sum of the terms times their weights."""
        return torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()

    def check_network(self, net: nn.Module) -> None:
        """Looks whether a network gives its features as those of timm do.

        Raises:
            UserError: It doesn't, and they are needed.
        """
        if self and (lacks := [name for name in _NEEDED if not hasattr(net, name)]):
            raise UserError(
                f"{self.told()} needs the features of {type(net).__name__}, which has no {', '.join(lacks)}; leave "
                "loss.uniformity and loss.alignment at 0, or write them as timm does"
            )

    def check_rows(self, rows: int) -> None:
        """Looks whether a batch, gathered over processes, can hold a pair.

        Raises:
            UserError: It is of one row.
        """
        if self and rows == 1:
            raise UserError(f"{self.told()} is about pairs of images, and data.batch_size=1 makes none; use more")

    def told(self) -> str:
        """The terms as they are set."""
        return " and ".join(f"loss.{name}={weight:g}" for name, weight in self.weights.items())


_NEEDED = ("forward_features", "forward_head", "get_classifier")
