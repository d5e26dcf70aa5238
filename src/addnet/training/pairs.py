"""Loss terms on pairs of features in a batch: close together within a class, spread over the sphere as a whole."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SHARPNESS = 2.0  # factor in the exponent of the uniformity: t in Wang and Isola
_LEAST = 1e-6  # lower bound of the mean in the uniformity, below which the gradient is 0 (GenD)
_SHORTEST = 1e-6  # norm below which features aren't normalised to length 1


def alignment(features: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """The mean of ‖a − b‖² over all pairs within a class, where a and b are features normalised to length 1.

    Wang and Isola 2020, arXiv 2005.10242, in the form of GenD (WACV 2026): one mean over the pairs of both classes.

    Args:
        features: (B, D), any float dtype; computed in float32.
        labels: (B,); any value where `valid` is False.
        valid: (B,) bool; rows that are False form no pairs.

    Returns:
        A scalar, float32; 0 with a gradient of 0 if there are no pairs.
    """
    distances, pairs, same = _pairs(features, labels, valid)
    counted = pairs & same
    return (distances * counted).sum() / counted.sum().clamp(min=1)


def uniformity(features: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """The logarithm of the mean of exp(−2 ‖a − b‖²) over all pairs, where a and b are features normalised to length 1.

    It lies between −8, if the features are as far apart as possible, and 0, if all are equal. Source: Wang and Isola
    2020, arXiv 2005.10242, in the form of GenD (WACV 2026).

    Args:
        features: (B, D), any float dtype; computed in float32.
        labels: (B,); unused, so that the function takes the same arguments as `alignment`.
        valid: (B,) bool; rows that are False form no pairs.

    Returns:
        A scalar, float32; 0 with a gradient of 0 if there are no pairs.
    """
    distances, pairs, _ = _pairs(features, labels, valid)
    closeness = ((-SHARPNESS * distances).exp() * pairs).sum() / pairs.sum().clamp(min=1)
    return torch.where(pairs.any(), closeness.clamp(min=_LEAST).log(), closeness)


def _pairs(features: Tensor, labels: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each of the B(B − 1)/2 pairs: the squared distance, whether it counts, and whether both have one label."""
    with torch.autocast(features.device.type, enabled=False):
        counted = torch.where(valid[:, None], features.float(), torch.zeros((), device=features.device))
        directions = functional.normalize(counted, dim=1, eps=_SHORTEST)
        distances = functional.pdist(directions).square()  # from differences: a matrix product might run in TF32
    one, other = torch.triu_indices(len(valid), len(valid), 1, device=valid.device)
    return distances, valid[one] & valid[other], labels[one] == labels[other]
