"""What validation decides for later: where fake begins, and how sure a score is."""

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

# of the metrics: images, and videos by how the scores of their images are put together
LEVELS: Mapping[str, str | None] = {
    "frame": None,
    "video": "mean",
    "video_max": "max",
    "video_confidence": "confidence",
}
# where a threshold is from, and how that is said
ORIGINS = {
    "fitted": "from validation",
    "borrowed": "from validation, chosen for the mean",
    "given": "as given",
    "none": "no threshold in the checkpoint",
    "no_unit": "none, since scores are no probabilities and none was given",
}
NOT_CALIBRATED = "not calibrated by the checkpoint"
NO_PROBABILITIES = "scores that are no probabilities"
UNDECIDED = -1  # among labels
_LONGEST = 200  # characters of what a checkpoint says, in a message


@dataclass(frozen=True)
class Decision:
    """What a checkpoint says about its scores at one level.

    Attributes:
        threshold: Of the network's probability of fake; above it an image or video is called fake. nan: there is none.
        stated: The threshold in words, with where it comes from.
        temperature: Of `calibration.calibrated`; None if none was fitted.
        limits: The least and the largest probability that validation can support.
        calibration: In words, whether probabilities are calibrated, or why not.
        origin: Where the threshold is from, one of `ORIGINS`.
        real_up_to: Up to it one is called real, and between the two it is undecided; None: up to `threshold`.
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
        """From what `decide` gave; ways of aggregation without their own entry use that of "video".

        Args:
            decision: Of a checkpoint, also of earlier versions; None: it has none.
            level: One of `LEVELS`.

        Raises:
            UserError: Threshold, temperature or limits can't be used.
        """
        if not decision:
            return cls()
        found = decision.get(level) or decision.get(level.split("_")[0])
        if not found:
            return cls()
        try:
            threshold = float(found["threshold"])
            real_up_to = threshold if found.get("real_up_to") is None else float(found["real_up_to"])
            temperature = None if found.get("temperature") is None else float(found["temperature"])
            low, high = map(float, found.get("limits") or _limits_of_earlier(decision, found))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"the checkpoint's decision for {level} is not valid: {shown(found, most=_LONGEST)}"
            ) from error
        _check_ranges(level, threshold, temperature, low, high)
        if not NOWHERE <= real_up_to <= threshold:
            raise UserError(
                f"the checkpoint calls {level}s real up to {real_up_to} and fake above {threshold}; expected the first "
                "to be the lower one"
            )
        calibration = str(found.get("calibration") or (NOT_CALIBRATED if temperature is None else FITTED))
        if temperature is not None:  # earlier versions kept one at the end of its range
            calibration = told_of_bound(temperature) or calibration
        temperature = temperature if calibration == FITTED else None
        origin = str(found.get("origin"))
        if origin not in ORIGINS:
            origin = "fitted" if level in decision else "borrowed"
        lower = real_up_to if real_up_to < threshold else None
        stated = _stated(threshold, origin, lower)
        return cls(threshold, stated, temperature, (low, high), calibration, origin, lower)

    def of_any_numbers(self) -> Decision:
        """The same for scores that aren't probabilities: no threshold but one that somebody gave."""
        if self.origin == "given":
            return Decision(self.threshold, stated=self.stated, calibration=NO_PROBABILITIES, origin="given")
        return Decision(np.nan, stated=ORIGINS["no_unit"], calibration=NO_PROBABILITIES, origin="no_unit")

    @property
    def has_threshold(self) -> bool:
        """Whether anything is called real or fake."""
        return bool(np.isfinite(self.threshold))

    def at(self, threshold: float) -> Decision:
        """The same with a threshold that somebody gives, such as the user."""
        stated = _stated(threshold, "given")
        return replace(self, threshold=threshold, real_up_to=None, stated=stated, origin="given")

    def called(self, scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """(N,) verdicts on scores: 0 real, 1 fake, `UNDECIDED`."""
        lower = self.threshold if self.real_up_to is None else self.real_up_to
        return np.where(scores > self.threshold, 1, np.where(scores <= lower, 0, UNDECIDED))

    def calibrated(self, probability: float) -> float:
        """The probability of fake that can be told: see `probabilities`."""
        return float(self.probabilities(np.asarray([probability], dtype=np.float64))[0])

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores at the temperature, if there is one, and no more extreme than validation can support."""
        said = scores if self.temperature is None else calibrated(scores, self.temperature)
        return np.clip(said, *self.limits)

    @property
    def told(self) -> str:
        """How far probabilities can be trusted, in words."""
        low, high = self.limits
        if (low, high) == (0.0, 1.0):
            return self.calibration
        return f"{self.calibration}; validation supports {low:.3f} to {high:.3f}"

    def plain(self) -> dict[str, Any]:
        """As plain values, such as a checkpoint or JSON holds."""
        return vars(self) | {"limits": list(self.limits)}


def check_bounds(**bounds: float | None) -> None:
    """Whether `decide` can take them: `max_fpr`, `max_fnr`.

    Raises:
        UserError: One is no share.
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
    """Earlier checkpoints say how many videos there were, and not how many of each class: half are taken for each."""
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
    """A checkpoint's decision as this version reads it: limits and words are there also in one of earlier versions."""
    if not decision:
        return None
    found = {}
    for level, entry in decision.items():
        read = Decision.of(decision, level)
        temperature = 1.0 if read.temperature is None and entry.get("temperature") is not None else read.temperature
        kept = {"limits": list(read.limits), "calibration": read.calibration}
        found[level] = {**entry, "temperature": temperature, **kept}
    return found


def decide(
    scores: Scores, *, max_fpr: float | None = None, max_fnr: float | None = None
) -> dict[str, dict[str, Any]] | None:
    """Thresholds and temperature at each of `LEVELS`, as plain values for a checkpoint.

    Images without a face have no part in it, where it is known which they are: `predict` gives them no verdict, and
    leaves them out of their video's.

    Args:
        scores: Of validation.
        max_fpr: See `choose_thresholds`.
        max_fnr: See `choose_thresholds`.

    Returns:
        None where nothing can be decided: one class alone. Images alone where a video has real and fake ones.

    Raises:
        UserError: A score isn't a finite number.
    """
    faces = np.ones(len(scores.labels), dtype=bool) if scores.faces is None else scores.faces.cpu().numpy()
    labels = scores.labels.cpu().numpy().astype(np.int64)
    if len(np.unique(labels[faces])) < 2:
        faces = np.ones_like(faces)  # masks of ones alone, as an ablation may have
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
        temperature, told = calibrate(*given, videos if how is None else scored.videos)
        lower, upper = choose_thresholds(*given, max_fpr=max_fpr, max_fnr=max_fnr)
        decision[level] = {
            "threshold": upper,
            "real_up_to": lower,
            "temperature": temperature,
            "calibration": told,
            "limits": limits,
            "rows": len(scored),
        }
    return decision
