"""The domain of a detector: bounds of measures of the faces that it was trained and validated on."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.domain.appearance import NUMBERS
from addnet.faces.domain.measures import FaceMeasures

SHARE = 0.02  # largest fraction of validation faces outside the domain, half of it for their appearance
FEWEST = 4 * NUMBERS, 50  # training and validation faces needed to bound appearance
_SHRINKAGE = 0.02  # shrinkage of correlations towards zero, so that their matrix can be inverted
_DISTANCE = "distance"


class _Side(NamedTuple):
    """One bound of one measure.

    Attributes:
        of: Name of the measure.
        sign: 1 for an upper bound, -1 for a lower bound.
        said: The message about a face outside the bound, with value and bound.
    """

    of: str
    sign: int
    said: str


_SIDES = (
    _Side("size", -1, "its face is small ({value:.0f} pixels; at least {bound:.0f} in them)"),
    _Side("sharpness", -1, "it is blurred (sharpness {value:.1f}; at least {bound:.1f} in them)"),
    _Side("exposure", -1, "it is dark (mean grey level {value:.0f}; at least {bound:.0f} in them)"),
    _Side("exposure", 1, "it is bright (mean grey level {value:.0f}; at most {bound:.0f} in them)"),
    _Side("yaw", 1, "its face is turned to the side (by {value:.2f}; at most {bound:.2f} in them)"),
    _Side("pitch", -1, "its face looks up (nose at {value:.2f}; at least {bound:.2f} in them)"),
    _Side("pitch", 1, "its face looks down (nose at {value:.2f}; at most {bound:.2f} in them)"),
    _Side("outside", 1, "its face is cut off ({value:.0%} of its landmarks outside; at most {bound:.0%} in them)"),
    _Side(_DISTANCE, 1, "it was made differently (distance {value:.1f}; at most {bound:.1f} in them)"),
)


@dataclass(frozen=True)
class Domain:
    """Describes the faces to which a detector can be applied.

    Attributes:
        bounds: One bound for each entry of `_SIDES`; None if there were too few faces to determine it.
        mean: (36,) mean appearance of training images.
        scale: (36,) standard deviation of their appearance.
        precision: (36, 36) inverse correlation matrix of their appearance.
        faces: Number of training and of validation faces that were measured.
    """

    bounds: tuple[float | None, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    precision: NDArray[np.float64]
    faces: tuple[int, int]

    @classmethod
    def of(cls, training: Sequence[FaceMeasures], validation: Sequence[FaceMeasures]) -> Domain | None:
        """Determines the bounds such that at most `SHARE` of the training and of the validation faces lie outside.

        Each bound is allotted part of that fraction; the wider of the training and the validation bound is used.

        Args:
            training: Measures of faces as the network saw them in training, augmented.
            validation: Measures of faces as the network saw them in validation.

        Returns:
            The domain; None if there are no training or no validation faces.
        """
        if not (training and validation):
            return None
        made = np.stack([one.appearance for one in training])
        scale = np.maximum(made.std(axis=0), 1e-3)  # a band may be empty where images are small
        related = (made - made.mean(axis=0)) / scale
        correlation = related.T @ related / len(made)
        shrunk = (1 - _SHRINKAGE) * correlation + _SHRINKAGE * np.eye(NUMBERS)
        upper = np.triu(np.linalg.inv(shrunk))  # the inverse is symmetric only up to rounding
        faces = len(training), len(validation)
        plain = cls((), made.mean(axis=0), scale, _both_sides(upper), faces)
        bounds: list[float | None] = []
        for side in _SIDES:
            if side.of == _DISTANCE and any(map(operator.lt, plain.faces, FEWEST)):
                bounds.append(None)
                continue
            parts = (np.array([plain.value(one, side.of) for one in part]) for part in (training, validation))
            bounds.append(side.sign * max(_nearly_largest(side.sign * part, _share(side)) for part in parts))
        return cls(tuple(bounds), plain.mean, plain.scale, plain.precision, plain.faces)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Domain:
        """Restores a domain from the plain values that `values` returns.

        Raises:
            UserError: A value is missing, of another type or not finite.
        """
        try:
            bounds = tuple(None if bound is None else float(bound) for bound in values["bounds"])
            mean, scale = (np.asarray(values[name], dtype=np.float64) for name in ("mean", "scale"))
            upper = np.asarray(values["precision"], dtype=np.float64)
            training, validation = (int(number) for number in values["faces"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"the domain of the detector can't be read ({error!r}); it needs {_KEYS}") from error
        known = [bound for bound in bounds if bound is not None]
        whole = all(np.isfinite(numbers).all() for numbers in (mean, scale, upper, known))
        shapes = (len(bounds), mean.shape, scale.shape, upper.shape)
        right = (len(_SIDES), (NUMBERS,), (NUMBERS,), (NUMBERS * (NUMBERS + 1) // 2,))
        if shapes != right or not whole or not (scale > 0).all():
            raise UserError(f"the domain of the detector has shapes {shapes}; expected {right}, all numbers finite")
        precision = np.zeros((NUMBERS, NUMBERS))
        precision[np.triu_indices(NUMBERS)] = upper
        return cls(bounds, mean, scale, _both_sides(precision), (training, validation))

    def values(self) -> dict[str, Any]:
        """Returns plain values, to be stored in a checkpoint."""
        upper = self.precision[np.triu_indices(NUMBERS)]
        return {
            "bounds": list(self.bounds),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "precision": upper.tolist(),
            "faces": list(self.faces),
        }

    def value(self, face: FaceMeasures, of: str) -> float:
        """Returns one measure of a face.

        `distance` is the Mahalanobis distance of its appearance from the training images, divided by √36: its root
        mean square over those images is about 1.
        """
        if of != _DISTANCE:
            return float(getattr(face, of))
        off = (face.appearance - self.mean) / self.scale
        return math.sqrt(max(float(off @ self.precision @ off), 0.0) / NUMBERS)

    def unlike(self, face: FaceMeasures) -> str:
        """Describes in words which measures of a face lie outside the domain; empty if none does."""
        differences = []
        for side, bound in zip(_SIDES, self.bounds, strict=True):
            if bound is None:
                continue
            value = self.value(face, side.of)
            if side.sign * value > side.sign * bound:
                differences.append(side.said.format(value=value, bound=bound))
        return "; ".join(differences)


_KEYS = "bounds, mean, scale, precision and faces"


def _share(side: _Side) -> float:
    return SHARE / 2 if side.of == _DISTANCE else SHARE / 2 / (len(_SIDES) - 1)


def _both_sides(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    return upper + np.triu(upper, 1).T


def _nearly_largest(values: NDArray[np.float64], share: float) -> float:
    """The smallest value that at most this share of the values exceeds."""
    return float(np.sort(values)[len(values) - 1 - int(share * len(values))])
