"""What validation decides for later: where fake begins, and how sure a score is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.evaluation.calibration import calibrated, choose_threshold, fit_temperature
from addnet.evaluation.metrics import THRESHOLD, Scores, by_video

LEVELS = ("frame", "video")


@dataclass(frozen=True)
class Decision:
    """Threshold and temperature of one level.

    Attributes:
        threshold: Of the network's probability of fake; above it a picture is called fake.
        temperature: By which the logit is divided to give a calibrated probability.
        source: Where the threshold comes from, in words.
    """

    threshold: float = THRESHOLD
    temperature: float = 1.0
    source: str = "0.5, no validation in the checkpoint"

    @classmethod
    def from_values(cls, values: Mapping[str, Any] | None, level: str) -> Decision:
        """What a checkpoint brings.

        Args:
            values: What `decide` gave; None: nothing.
            level: One of `LEVELS`.

        Raises:
            UserError: It is none.
        """
        if not values:
            return cls()
        try:
            threshold, temperature = (float(values[level][name]) for name in ("threshold", "temperature"))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"the checkpoint's decision for {level}s is none: {values!r}") from error
        if not (0 <= threshold <= 1 and 0 < temperature < 1000):
            raise UserError(f"the checkpoint's threshold={threshold}, temperature={temperature} can't be used")
        return cls(threshold, temperature, f"{threshold:.4f}, from validation")

    def calibrated(self, probability: float) -> float:
        """The calibrated probability of fake."""
        return float(calibrated(np.asarray([probability], dtype=np.float64), self.temperature)[0])


def decide(scores: Scores) -> dict[str, dict[str, float]] | None:
    """Threshold and temperature of pictures and of videos (mean of their frames), as plain values for a checkpoint.

    Args:
        scores: Of validation.

    Returns:
        None where one class alone is there: nothing can be decided.
    """
    decision = {}
    for level, rows in zip(LEVELS, (scores, by_video(scores)), strict=True):
        probabilities: NDArray[np.float64] = rows.probabilities.double().cpu().numpy()
        labels: NDArray[np.int64] = rows.labels.cpu().numpy()
        finite = np.isfinite(probabilities)
        if len(np.unique(labels[finite])) < 2:
            return None
        decision[level] = {
            "threshold": choose_threshold(probabilities[finite], labels[finite]),
            "temperature": fit_temperature(probabilities[finite], labels[finite]),
            "pictures" if level == "frame" else "videos": len(labels),
        }
    return decision
