"""What is asked of pairs of features in a batch: alike within a class, and spread over the sphere as a whole."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SHARPNESS = 2.0  # of the Gaussian in the uniformity: t in Wang and Isola
_LEAST = 1e-6  # of the mean in the uniformity, below which it has no slope (GenD)
_SHORTEST = 1e-6  # length of features below which they are no direction


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
