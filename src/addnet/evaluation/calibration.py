"""Chooses thresholds and fits temperatures on validation scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.finite import require_finite
from addnet.wording import count

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0
FEWEST_ERRORS = 5  # videos
FITTED = "calibrated on validation"
NO_ERRORS = "not calibrated: validation has no errors to learn from"
NOTHING_FITS = "not calibrated: no temperature fits the scores of validation"
NOWHERE = -1.0  # a threshold below all scores
_NEAR = 1e-3
_TINY = 1e-15  # as in log loss
_HALVINGS = 60  # steps of bisection: enough to reach the precision of float64


class Reliability(NamedTuple):
    """Predicted probabilities and true shares of fakes, in bins of equal width over [0, 1].

    Attributes:
        edges: (B + 1,) float64 edges of the bins.
        said: (B,) mean probability of fake in each bin; NaN if a bin is empty.
        true: (B,) share of fakes in each bin; NaN if a bin is empty.
        counts: (B,) int64 number of rows in each bin.
    """

    edges: NDArray[np.float64]
    said: NDArray[np.float64]
    true: NDArray[np.float64]
    counts: NDArray[np.int64]


class Thresholds(NamedTuple):
    """The thresholds of the two verdicts; scores between them are undecided.

    Attributes:
        real_up_to: A row is called real up to this score; `NOWHERE` calls none real.
        fake_above: A row is called fake above this score.
    """

    real_up_to: float
    fake_above: float


def choose_thresholds(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    max_fpr: float | None = None,
    max_fnr: float | None = None,
) -> Thresholds:
    """Chooses the threshold with the largest balanced accuracy among those that meet the bounds on both errors.

    If none meets both bounds, two thresholds are returned that leave as few rows as possible undecided between them:
    the lowest that meets `max_fpr`, and the highest that meets `max_fnr`.

    A threshold lies midway between neighbouring scores (0 and 1 also count as scores) or at 1, which calls no row fake.
    Of several equally good thresholds the one nearest to 0.5 is chosen, and of two equally near the upper one, which
    calls fewer rows fake. The threshold is 0.5 if the scores don't determine one: with a single class, or if no
    threshold is better than giving all rows the same verdict and 0.5 is as good as any.

    Args:
        probabilities: (N,) probability of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.
        max_fpr: Bound on the share of real rows that are called fake, in [0, 1); with fewer than 1 / max_fpr real rows
            none may be. None sets no bound.
        max_fnr: Bound on the share of fake rows that are called real, in [0, 1). None sets no bound.

    Raises:
        UserError: Scores or labels are out of range, or their numbers differ.

    Example:
        >>> scores, labels = np.array([0.1, 0.3, 0.7, 0.4, 0.5, 0.8]), np.array([0, 0, 0, 1, 1, 1])
        >>> choose_thresholds(scores, labels).fake_above, choose_thresholds(scores, labels, max_fpr=0.05).fake_above
        (0.35, 0.75)
        >>> choose_thresholds(scores, labels, max_fpr=0.05, max_fnr=0.05)
        Thresholds(real_up_to=0.35, fake_above=0.75)
    """
    scores, fake = checked(probabilities, labels)
    fakes, reals = int(fake.sum()), int((1 - fake).sum())
    if not fakes or not reals:
        return Thresholds(0.5, 0.5)
    values = np.unique(np.concatenate([[0.0], scores, [1.0]]))
    middle = (values[:-1] + values[1:]) / 2
    middle = np.where(middle < values[1:], middle, values[:-1])  # neighbouring floats have no midpoint
    candidates = np.concatenate([middle, [1.0, 0.5]])  # (T,); 0.5 comes last and is compared separately
    # for each class: (T,) number of its rows at or below each candidate
    not_above = [np.searchsorted(np.sort(scores[fake == label]), candidates, side="right") for label in (0, 1)]
    few_reals = np.ones(len(candidates), bool) if max_fpr is None else reals - not_above[0] <= max_fpr * reals
    few_fakes = np.ones(len(candidates), bool) if max_fnr is None else not_above[1] <= max_fnr * fakes
    if not (few_reals & few_fakes).any():
        lower = candidates[few_fakes].max() if few_fakes.any() else NOWHERE
        return Thresholds(float(lower), float(candidates[few_reals].min()))
    # balanced accuracy times a constant, in whole numbers, so that equally good thresholds compare as equal
    goodness = not_above[0] * fakes + (fakes - not_above[1]) * reals
    goodness = np.where(few_reals & few_fakes, goodness, -1)
    if goodness[-1] == goodness.max() == fakes * reals:
        return Thresholds(0.5, 0.5)
    best = candidates[:-1][goodness[:-1] == goodness.max()]
    distance = np.abs(best - 0.5)
    chosen = float(best[distance == distance.min()].max())
    return Thresholds(chosen, chosen)


def fit_temperature(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Fits the temperature T with the smallest log loss of sigmoid(logit(p) / T) (Guo et al. 2017, "On calibration …").

    Log loss is convex in 1 / T, so that bisection on the sign of its slope finds the only minimum.

    Args:
        probabilities: (N,) probability of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.

    Returns:
        T in [0.05, 20]; above 1 if the detector was overconfident. 1 with a single class, or if every score is 0.5.

    Raises:
        UserError: Scores or labels are out of range, or their numbers differ.
    """
    scores, fake = checked(probabilities, labels)
    logits = logit(scores)
    if fake.min(initial=1) == fake.max(initial=0) or not len(fake) or not logits.any():
        return 1.0
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if np.dot(_sigmoid(np.exp(middle) * logits) - fake, logits) > 0:
            high = middle
        else:
            low = middle
    return float(np.clip(np.exp(-(low + high) / 2), COLDEST, HOTTEST))


def calibrate(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], videos: NDArray[np.integer]
) -> tuple[float, str]:
    """Fits a temperature if there are enough errors to fit it to, and says in words whether it did.

    A temperature is determined by the rows on the wrong side of 0.5. Without such rows the best temperature is 0, which
    would turn every score into unjustified certainty; with few, it depends on chance. Rows of one video tend to be
    wrong together, so videos are counted.

    Args:
        probabilities: (N,) probability of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.
        videos: (N,) number of the video of each row.

    Returns:
        The temperature of `fit_temperature`, or 1 if none could be fitted; and `FITTED`, or the reason why not.

    Raises:
        UserError: Scores or labels are out of range, or their numbers differ.
    """
    scores, fake = checked(probabilities, labels)
    wrong = len(np.unique(videos[(scores > 0.5) != (fake == 1)]))
    if not wrong:
        return 1.0, NO_ERRORS
    if wrong < FEWEST_ERRORS:
        few = f"of {count(wrong, 'video')} to learn from; {FEWEST_ERRORS} are needed"
        return 1.0, f"not calibrated: validation has errors {few}"
    temperature = fit_temperature(scores, fake)
    at_a_bound = told_of_bound(temperature)
    return (1.0, at_a_bound) if at_a_bound else (temperature, FITTED)


def told_of_bound(temperature: float) -> str:
    """Why a temperature at an end of its range isn't a fit; empty if it lies inside the range."""
    if temperature <= COLDEST * (1 + _NEAR):
        return NO_ERRORS
    return NOTHING_FITS if temperature >= HOTTEST * (1 - _NEAR) else ""


def supported(reals: int, fakes: int) -> tuple[float, float]:
    """The smallest and the largest probability of fake that a number of videos supports (Laplace's rule of succession).

    Even if all n fake videos had high scores, a chance of 1 / (n + 2) remains that the next video with a high score is
    real; the same holds for low scores and real videos.

    Args:
        reals: Number of real videos in validation.
        fakes: Number of fake videos in validation.

    Example:
        >>> supported(8, 98)
        (0.1, 0.99)
    """
    return 1 / (reals + 2), (fakes + 1) / (fakes + 2)


def calibrated(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probabilities at another temperature, sigmoid(logit(p) / T), in the same order.

    Args:
        probabilities: Any shape, in [0, 1]; clipped to 1e-15 from 0 and 1, where the logit is infinite.
        temperature: T > 0; 1 changes nothing.

    Raises:
        UserError: The temperature isn't a positive number.

    Example:
        >>> calibrated(np.array([0.5, 0.9]), 2.0).round(3)
        array([0.5 , 0.75])
    """
    if not 0 < temperature < np.inf:
        raise UserError(f"temperature={temperature!r} isn't a positive number; 1 leaves probabilities as they are")
    return _sigmoid(logit(np.asarray(probabilities, dtype=np.float64)) / temperature)


def bin_of(probabilities: NDArray[np.floating], bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each probability: bins have equal width and include their lower edge; 1 belongs to the last one."""
    return np.minimum((np.asarray(probabilities, dtype=np.float64) * bins).astype(np.int64), bins - 1)


def reliability(probabilities: NDArray[np.floating], labels: NDArray[np.integer], *, bins: int = BINS) -> Reliability:
    """Mean probabilities of fake and shares of fakes, in bins of equal width.

    Args:
        probabilities: (N,) probability of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.
        bins: Number of bins.
    """
    scores, fake = checked(probabilities, labels)
    rows = bin_of(scores, bins)
    counts = np.bincount(rows, minlength=bins)
    sums = [np.bincount(rows, weights=part, minlength=bins) for part in (scores, fake)]
    said, true = (np.where(counts, part / np.maximum(counts, 1), np.nan) for part in sums)
    return Reliability(np.linspace(0, 1, bins + 1), said, true, counts)


def checked(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], *, any_number: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores as float64 and labels as int64, after checking them.

    Args:
        probabilities: (N,) scores.
        labels: (N,).
        any_number: Whether scores may lie outside [0, 1].

    Raises:
        UserError: They differ in length, a score isn't a finite number in [0, 1], or a label is neither 0 nor 1.
    """
    scores, fake = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != fake.shape:
        raise UserError(
            f"scores of shape {scores.shape} and labels of shape {fake.shape}: give one score and one label per row"
        )
    require_finite(scores)
    wrong = (scores < 0) | (scores > 1)
    if wrong.any() and not any_number:
        raise UserError(
            f"{wrong.sum()} of {len(scores)} scores aren't probabilities, the first is {scores[wrong][0]}; "
            "expected numbers from 0 to 1"
        )
    if not np.isin(fake, (0, 1)).all():
        raise UserError(
            f"labels {np.unique(fake).tolist()}: expected 0 for real and 1 for fake; leave out rows with other labels"
        )
    return scores, fake.astype(np.int64)


def logit(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds; probabilities are clipped to 1e-15 from 0 and 1, where log odds are infinite."""
    safe = np.clip(probabilities, _TINY, 1 - _TINY)
    return np.log(safe) - np.log1p(-safe)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -logits))
