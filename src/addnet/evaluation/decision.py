"""What validation decides for later: where fake begins, and how sure a score is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from addnet.errors import UserError
from addnet.evaluation.calibration import calibrated, choose_threshold, fit_temperature
from addnet.evaluation.metrics import THRESHOLD, Scores
from addnet.evaluation.scored import ScoredSet, by_video

# of the figures: pictures, and videos by how the scores of their pictures are put together
LEVELS: Mapping[str, str | None] = {
    "frame": None,
    "video": "mean",
    "video_max": "max",
    "video_confidence": "confidence",
}


@dataclass(frozen=True)
class Decision:
    """What a checkpoint says about its scores at one level.

    Attributes:
        threshold: Of the network's probability of fake; above it a picture or video is called fake.
        stated: The threshold in words, with where it comes from.
        temperature: Of `calibration.calibrated`; None if the checkpoint has none.
    """

    threshold: float = THRESHOLD
    stated: str = "0.5, no threshold in the checkpoint"
    temperature: float | None = None

    @classmethod
    def of(cls, decision: Mapping[str, Any] | None, level: str) -> Decision:
        """From what `decide` gave; ways of aggregation without their own entry use that of "video".

        Args:
            decision: Of a checkpoint; None: it has none.
            level: One of `LEVELS`.

        Raises:
            UserError: Threshold or temperature can't be used.
        """
        if not decision:
            return cls()
        found = decision.get(level) or decision.get(level.split("_")[0])
        if not found:
            return cls()
        try:
            threshold = float(found["threshold"])
            temperature = None if found.get("temperature") is None else float(found["temperature"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"the checkpoint's decision for {level} is none: {found!r}") from error
        if not 0 <= threshold <= 1:
            raise UserError(f"the checkpoint's threshold for {level} is {threshold}; expected a number from 0 to 1")
        if temperature is not None and not 0 < temperature < np.inf:
            raise UserError(f"the checkpoint's temperature for {level} is {temperature}; expected a positive number")
        borrowed = ", chosen for the mean" if level not in decision else ""
        source = found.get("source", "from validation")
        return cls(threshold, f"{threshold:.4f}, {source}{borrowed}", temperature)

    def calibrated(self, probability: float) -> float:
        """The calibrated probability of fake; the probability itself without a temperature."""
        if self.temperature is None:
            return probability
        return float(calibrated(np.asarray([probability], dtype=np.float64), self.temperature)[0])


def decide(scores: Scores) -> dict[str, dict[str, float]] | None:
    """Threshold and temperature at each of `LEVELS`, as plain values for a checkpoint.

    Args:
        scores: Of validation.

    Returns:
        None where nothing can be decided: one class alone, or scores that are no numbers. Pictures alone where a video
        has real and fake ones.
    """
    probabilities = scores.probabilities.double().cpu().numpy()
    labels = scores.labels.cpu().numpy().astype(np.int64)
    if not np.isfinite(probabilities).all() or len(np.unique(labels)) < 2:
        return None
    _, videos = np.unique(scores.videos.cpu().numpy(), return_inverse=True)
    shares = np.bincount(videos, weights=labels) / np.bincount(videos)
    mixed = bool(((shares > 0) & (shares < 1)).any())
    videos = np.arange(len(labels)) if mixed else videos
    names = [""] * (int(videos.max()) + 1)
    frames = ScoredSet("validation", probabilities, labels, videos, [""] * len(labels), names)
    decision = {}
    for level, how in LEVELS.items():
        if mixed and how:
            continue
        rows = frames if how is None else by_video(frames, how)
        decision[level] = {
            "threshold": choose_threshold(rows.probabilities, rows.labels),
            "temperature": fit_temperature(rows.probabilities, rows.labels),
            "rows": len(rows),
        }
    return decision
