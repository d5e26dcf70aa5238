"""The domain of a detector: bounds of what was measured in images that it learnt from and was validated on."""

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

SHARE = 0.02  # of the faces of validation, at most, lie outside: half of it by how they were made
FEWEST = 4 * NUMBERS, 50  # faces of training and of validation, below which nothing is said about how they were made
_SHRINKAGE = 0.02  # of correlations towards none, so that they can be inverted
_DISTANCE = "distance"


class _Side(NamedTuple):
    """One bound of one measure.

    Attributes:
        of: Which measure.
        sign: 1 where it may not be exceeded, -1 where no less may be measured.
        said: What is said of a face outside, with the value and the bound.
    """

    of: str
    sign: int
    said: str


_SIDES = (
    _Side("size", -1, "its face is small ({value:.0f} pixels; {bound:.0f} and more in them)"),
    _Side("sharpness", -1, "it is blurred (sharpness {value:.1f}; {bound:.1f} and more in them)"),
    _Side("exposure", -1, "it is dark (mean grey level {value:.0f}; {bound:.0f} and more in them)"),
    _Side("exposure", 1, "it is bright (mean grey level {value:.0f}; {bound:.0f} and less in them)"),
    _Side("yaw", 1, "its face is turned to a side (by {value:.2f}; {bound:.2f} and less in them)"),
    _Side("pitch", -1, "its face looks up (nose at {value:.2f}; {bound:.2f} and more in them)"),
    _Side("pitch", 1, "its face looks down (nose at {value:.2f}; {bound:.2f} and less in them)"),
    _Side("outside", 1, "its face is cut off ({value:.0%} of its landmarks outside; {bound:.0%} and less in them)"),
    _Side(_DISTANCE, 1, "it was made otherwise (distance {value:.1f}; {bound:.1f} and less in them)"),
)


@dataclass(frozen=True)
class Domain:
    """What faces are like that a detector may be asked about.

    Attributes:
        bounds: Of each side of `_SIDES`; None where there were too few faces to say.
        mean: (36,) of the appearance of training images.
        scale: (36,) its standard deviation.
        precision: (36, 36) inverse of its correlations.
        faces: How many of training and of validation were measured.
    """

    bounds: tuple[float | None, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    precision: NDArray[np.float64]
    faces: tuple[int, int]

    @classmethod
    def of(cls, training: Sequence[FaceMeasures], validation: Sequence[FaceMeasures]) -> Domain | None:
        """Takes as much as training has, and so much that at most `SHARE` of validation lies outside.

        Each side has its part of that share, of training and of validation: the wider bound counts.

        Args:
            training: As the network saw them in training, with its random changes.
            validation: As it saw them in validation.

        Returns:
            None without faces.
        """
        if not (training and validation):
            return None
        made = np.stack([one.appearance for one in training])
        scale = np.maximum(made.std(axis=0), 1e-3)  # a band may be empty where images are small
        related = (made - made.mean(axis=0)) / scale
        correlation = related.T @ related / len(made)
        shrunk = (1 - _SHRINKAGE) * correlation + _SHRINKAGE * np.eye(NUMBERS)
        upper = np.triu(np.linalg.inv(shrunk))  # of what is the same on both sides of its diagonal but for rounding
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
        """What `values` gave.

        Raises:
            UserError: Something is missing, or of another kind.
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
            raise UserError(f"the domain of the detector has {shapes} numbers; expected {right}, all finite")
        precision = np.zeros((NUMBERS, NUMBERS))
        precision[np.triu_indices(NUMBERS)] = upper
        return cls(bounds, mean, scale, _both_sides(precision), (training, validation))

    def values(self) -> dict[str, Any]:
        """As plain values, to be kept in a checkpoint."""
        upper = self.precision[np.triu_indices(NUMBERS)]
        return {
            "bounds": list(self.bounds),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "precision": upper.tolist(),
            "faces": list(self.faces),
        }

    def value(self, face: FaceMeasures, of: str) -> float:
        """One measure of a face; `distance`: how far its appearance is from that of training, 1 in the mean there."""
        if of != _DISTANCE:
            return float(getattr(face, of))
        off = (face.appearance - self.mean) / self.scale
        return math.sqrt(max(float(off @ self.precision @ off), 0.0) / NUMBERS)

    def unlike(self, face: FaceMeasures) -> str:
        """What of a face lies outside, in words; empty where nothing does."""
        said = []
        for side, bound in zip(_SIDES, self.bounds, strict=True):
            if bound is None:
                continue
            value = self.value(face, side.of)
            if side.sign * value > side.sign * bound:
                said.append(side.said.format(value=value, bound=bound))
        return "; ".join(said)


_KEYS = "bounds, mean, scale, precision and faces"


def _share(side: _Side) -> float:
    return SHARE / 2 if side.of == _DISTANCE else SHARE / 2 / (len(_SIDES) - 1)


def _both_sides(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    return upper + np.triu(upper, 1).T


def _nearly_largest(values: NDArray[np.float64], share: float) -> float:
    """The least bound that no more than a share of the values exceed."""
    return float(np.sort(values)[len(values) - 1 - int(share * len(values))])
