"""Decisions made on validation and stored in checkpoints: thresholds, temperatures and limits of probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.evaluation.calibration import (
    FITTED,
    NOWHERE,
    calibrate,
    calibrated,
    choose_thresholds,
    supported,
    told_of_bound,
)
from addnet.evaluation.metrics import THRESHOLD, Scores
from addnet.evaluation.scored import ScoredSet, by_video
from addnet.signatures import require_number
from addnet.untrusted.texts import shown

# levels of the metrics → how the scores of images become that of their video; None for images
LEVELS: Mapping[str, str | None] = {
    "frame": None,
    "video": "mean",
    "video_max": "max",
    "video_confidence": "confidence",
}
# where a threshold is from, in words
ORIGINS = {
    "fitted": "from validation",
    "borrowed": "from validation, chosen for the mean",
    "given": "as given",
    "none": "no threshold in the checkpoint",
    "no_unit": "none, since the scores aren't probabilities and no threshold was given",
}
NOT_CALIBRATED = "not calibrated by the checkpoint"
NO_PROBABILITIES = "scores that aren't probabilities"
UNDECIDED = -1  # the verdict next to labels 0 and 1
_LONGEST = 200  # characters of a checkpoint's entry that a message shows


@dataclass(frozen=True)
class Decision:
    """A checkpoint's decision for one level: how scores become verdicts and probabilities.

    Attributes:
        threshold: Threshold on the network's probability of fake; above it an image or video is called fake. NaN if
            there is none.
        stated: The threshold in words, with its origin.
        temperature: Temperature for `calibration.calibrated`; None if none was fitted.
        limits: The smallest and the largest probability that validation supports.
        calibration: In words, whether probabilities are calibrated, or why not.
        origin: Where the threshold is from, one of `ORIGINS`.
        real_up_to: An image or video is called real up to this score, and is undecided between it and `threshold`; None
            calls it real up to `threshold`.
    """

    threshold: float = THRESHOLD
    stated: str = f"{THRESHOLD}, {ORIGINS['none']}"
    temperature: float | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    calibration: str = NOT_CALIBRATED
    origin: str = "none"
    real_up_to: float | None = None

    @classmethod
    def of(cls, decision: Mapping[str, Any] | None, level: str) -> Decision:
        """The decision for a level from the result of `decide`; aggregations without an entry use that of "video".

        Args:
            decision: Decision of a checkpoint, including those of earlier versions; None if it has none.
            level: One of `LEVELS`.

        Raises:
            UserError: Threshold, temperature or limits aren't valid.
        """
        if not decision:
            return cls()
        entry = decision.get(level) or decision.get(level.split("_")[0])
        if not entry:
            return cls()
        try:
            threshold = float(entry["threshold"])
            real_up_to = threshold if entry.get("real_up_to") is None else float(entry["real_up_to"])
            temperature = None if entry.get("temperature") is None else float(entry["temperature"])
            low, high = map(float, entry.get("limits") or _limits_of_earlier(decision, entry))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"the checkpoint's decision for {level} is not valid: {shown(entry, most=_LONGEST)}"
            ) from error
        _check_ranges(level, threshold, temperature, low, high)
        if not NOWHERE <= real_up_to <= threshold:
            raise UserError(
                f"the checkpoint calls {level}s real up to {real_up_to} and fake above {threshold}; expected the first "
                "threshold to be the lower one"
            )
        calibration = str(entry.get("calibration") or (NOT_CALIBRATED if temperature is None else FITTED))
        if temperature is not None:  # earlier versions also kept a temperature at the end of its range
            calibration = told_of_bound(temperature) or calibration
        temperature = temperature if calibration == FITTED else None
        origin = str(entry.get("origin"))
        if origin not in ORIGINS:
            origin = "fitted" if level in decision else "borrowed"
        lower = real_up_to if real_up_to < threshold else None
        stated = _stated(threshold, origin, lower)
        return cls(threshold, stated, temperature, (low, high), calibration, origin, lower)

    def of_any_numbers(self) -> Decision:
        """The decision for scores that aren't probabilities: it keeps only a threshold that the user gave."""
        if self.origin == "given":
            return Decision(self.threshold, stated=self.stated, calibration=NO_PROBABILITIES, origin="given")
        return Decision(np.nan, stated=ORIGINS["no_unit"], calibration=NO_PROBABILITIES, origin="no_unit")

    @property
    def has_threshold(self) -> bool:
        """Whether anything is called real or fake."""
        return bool(np.isfinite(self.threshold))

    def at(self, threshold: float) -> Decision:
        """The decision with another threshold, such as one that the user gave."""
        stated = _stated(threshold, "given")
        return replace(self, threshold=threshold, real_up_to=None, stated=stated, origin="given")

    def called(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """(N,) the verdict on each score: 0 real, 1 fake, or `UNDECIDED`."""
        lower = self.threshold if self.real_up_to is None else self.real_up_to
        return np.where(scores > self.threshold, 1, np.where(scores <= lower, 0, UNDECIDED))

    def calibrated(self, probability: float) -> float:
        """The calibrated probability of fake of one score: see `probabilities`."""
        return float(self.probabilities(np.asarray([probability], dtype=np.float64))[0])

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) calibrated probabilities: scores at the temperature, if there is one, clipped to the limits."""
        tempered = scores if self.temperature is None else calibrated(scores, self.temperature)
        return np.clip(tempered, *self.limits)

    @property
    def told(self) -> str:
        """In words, whether probabilities are calibrated, and within which limits."""
        low, high = self.limits
        if (low, high) == (0.0, 1.0):
            return self.calibration
        return f"{self.calibration}; validation supports {low:.3f} to {high:.3f}"

    def plain(self) -> dict[str, Any]:
        """The decision as plain values, for JSON."""
        return vars(self) | {"limits": list(self.limits)}


def check_bounds(**bounds: float | None) -> None:
    """Checks the bounds of `decide`: `max_fpr` and `max_fnr`.

    Raises:
        UserError: A bound isn't a number in [0, 1).
    """
    for name, bound in bounds.items():
        if bound is None:
            continue
        require_number(f"decision.{name}", bound)
        if not 0 <= bound < 1:
            raise UserError(f"decision.{name}={bound} must lie in [0, 1), such as 0.02; null sets no bound")


def _stated(threshold: float, origin: str, real_up_to: float | None = None) -> str:
    if origin == "given":
        return f"{threshold:g}, as given"
    between = "" if real_up_to is None else f"; real up to {real_up_to:.4f}, undecided between"
    return f"{threshold:.4f}, {ORIGINS[origin]}{between}"


def _limits_of_earlier(decision: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[float, float]:
    """Limits for earlier checkpoints, which record the number of videos but not of each class: assumes half of each."""
    videos = (decision.get("video") or found).get("rows")
    return (0.0, 1.0) if videos is None else supported(int(videos) // 2, int(videos) // 2)


def _check_ranges(level: str, threshold: float, temperature: float | None, low: float, high: float) -> None:
    if not 0 <= threshold <= 1:
        raise UserError(f"the checkpoint's threshold for {level} is {threshold}; expected a number from 0 to 1")
    if temperature is not None and not 0 < temperature < np.inf:
        raise UserError(f"the checkpoint's temperature for {level} is {temperature}; expected a positive number")
    if not 0 <= low <= high <= 1:
        raise UserError(f"the checkpoint's limits for {level} are {low} and {high}; expected 0 <= low <= high <= 1")


def as_read(decision: Mapping[str, Any] | None) -> dict[str, dict[str, Any]] | None:
    """A checkpoint's decision as this version reads it: adds limits and calibration to those of earlier versions."""
    if not decision:
        return None
    entries = {}
    for level, entry in decision.items():
        read = Decision.of(decision, level)
        temperature = 1.0 if read.temperature is None and entry.get("temperature") is not None else read.temperature
        kept = {"limits": list(read.limits), "calibration": read.calibration}
        entries[level] = {**entry, "temperature": temperature, **kept}
    return entries


def decide(
    scores: Scores, *, max_fpr: float | None = None, max_fnr: float | None = None
) -> dict[str, dict[str, Any]] | None:
    """Chooses thresholds and temperature at each of `LEVELS`, as plain values for a checkpoint.

    Images that are known to have no face are left out: `predict` gives them no verdict and leaves them out of the score
    of their video.

    Args:
        scores: Scores of validation.
        max_fpr: Bound on the share of real rows that are called fake: see `choose_thresholds`.
        max_fnr: Bound on the share of fake rows that are called real: see `choose_thresholds`.

    Returns:
        Level → its entry; only images if a video has both real and fake images. None with a single class, which decides
        nothing.

    Raises:
        UserError: A score isn't finite.
    """
    faces = np.ones(len(scores.labels), dtype=bool) if scores.faces is None else scores.faces.cpu().numpy()
    labels = scores.labels.cpu().numpy().astype(np.int64)
    if len(np.unique(labels[faces])) < 2:
        faces = np.ones_like(faces)  # too few have a face, as in an ablation without face masks: use all images
    labels, probabilities = labels[faces], scores.probabilities.double().cpu().numpy()[faces]
    if len(np.unique(labels)) < 2:
        return None
    _, videos = np.unique(scores.videos.cpu().numpy()[faces], return_inverse=True)
    shares = np.bincount(videos, weights=labels) / np.bincount(videos)
    mixed = bool(((shares > 0) & (shares < 1)).any())
    names = [""] * len(labels if mixed else shares)
    rows = np.arange(len(labels)) if mixed else videos
    frames = ScoredSet("validation", probabilities, labels, rows, [""] * len(labels), names)
    limits = list(supported(int((shares < 1).sum()), int((shares > 0).sum())))
    decision = {}
    for level, how in LEVELS.items():
        if mixed and how:
            continue
        scored = frames if how is None else by_video(frames, how)
        given = scored.probabilities, scored.labels
        temperature, calibration = calibrate(*given, videos if how is None else scored.videos)
        lower, upper = choose_thresholds(*given, max_fpr=max_fpr, max_fnr=max_fnr)
        decision[level] = {
            "threshold": upper,
            "real_up_to": lower,
            "temperature": temperature,
            "calibration": calibration,
            "limits": limits,
            "rows": len(scored),
        }
    return decision
