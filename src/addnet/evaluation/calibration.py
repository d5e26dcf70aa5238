"""Where to call an image fake, and how much to trust the probability: both are fitted on validation scores."""

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
_HALVINGS = 60  # of a range of 400 to one: far below the spacing of float64


class Reliability(NamedTuple):
    """What was said beside what was true, in bins of equal width over [0, 1].

    Attributes:
        edges: (B + 1,) float64.
        said: (B,) mean probability of fake in each bin; nan where a bin is empty.
        true: (B,) share of fakes in each bin; nan where a bin is empty.
        counts: (B,) int64 rows in each bin.
    """

    edges: NDArray[np.float64]
    said: NDArray[np.float64]
    true: NDArray[np.float64]
    counts: NDArray[np.int64]


class Thresholds(NamedTuple):
    """Where verdicts begin; between the two there is none.

    Attributes:
        real_up_to: Up to it a row is called real; `NOWHERE`: none is.
        fake_above: Above it a row is called fake.
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
    """The threshold with the largest balanced accuracy, among those that keep to bounds on both errors.

    Where none keeps to both, there are two, so that as few rows as possible lie undecided between them: the least above
    which few enough reals lie, and the largest up to which few enough fakes do.

    A threshold lies midway between neighbouring scores (0 and 1 count as scores too), or at 1, above which there is
    nothing. Of several that are equally good, the one nearest to 0.5 is taken, and of two equally near the upper one,
    which accuses fewer. It is 0.5 where there is nothing to choose by: with one class only, and where no threshold is
    better than calling all rows alike and 0.5 is as good as any.

    Args:
        probabilities: (N,) of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.
        max_fpr: In [0, 1): at most this share of the real rows is called fake, which of fewer than 1 / max_fpr rows is
            none. None: no bound.
        max_fnr: The same for fake rows that are called real.

    Raises:
        UserError: Scores or labels are out of range, or not one a row.

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
    middle = np.where(middle < values[1:], middle, values[:-1])  # between neighbouring floats nothing lies
    candidates = np.concatenate([middle, [1.0, 0.5]])
    not_above = [np.searchsorted(np.sort(scores[fake == label]), candidates, side="right") for label in (0, 1)]
    few_reals = np.ones(len(candidates), bool) if max_fpr is None else reals - not_above[0] <= max_fpr * reals
    few_fakes = np.ones(len(candidates), bool) if max_fnr is None else not_above[1] <= max_fnr * fakes
    if not (few_reals & few_fakes).any():
        lower = candidates[few_fakes].max() if few_fakes.any() else NOWHERE
        return Thresholds(float(lower), float(candidates[few_reals].min()))
    # whole numbers, so that equally good thresholds are equal to the last bit
    goodness = not_above[0] * fakes + (fakes - not_above[1]) * reals
    goodness = np.where(few_reals & few_fakes, goodness, -1)
    if goodness[-1] == goodness.max() == fakes * reals:
        return Thresholds(0.5, 0.5)
    best = candidates[:-1][goodness[:-1] == goodness.max()]
    distance = np.abs(best - 0.5)
    chosen = float(best[distance == distance.min()].max())
    return Thresholds(chosen, chosen)


def fit_temperature(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature T with the smallest log loss of sigmoid(logit(p) / T) (Guo et al. 2017, "On calibration …").

    Log loss is convex in 1 / T, so that halving the range in which its slope changes sign finds the one minimum.

    Args:
        probabilities: (N,) of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.

    Returns:
        T in [0.05, 20]: above 1 the detector was too sure of itself. 1 with one class only, or if every score is 0.5.

    Raises:
        UserError: Scores or labels are out of range, or not one a row.
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
    """The temperature of `fit_temperature` where there is something to learn it from, else 1; and in words, which.

    A temperature is learnt from rows on the wrong side of 0.5. Without any, the best one is 0: every score would become
    a certainty that nobody has seen. With few, it follows them wherever they happen to lie. Rows of one video are wrong
    together, so that videos are counted.

    Args:
        probabilities: (N,) of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.
        videos: (N,) number of the video of each row.

    Raises:
        UserError: Scores or labels are out of range, or not one a row.
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
    """Why a temperature that is an end of the range in which it is looked for says nothing; empty if it isn't."""
    if temperature <= COLDEST * (1 + _NEAR):
        return NO_ERRORS
    return NOTHING_FITS if temperature >= HOTTEST * (1 - _NEAR) else ""


def supported(reals: int, fakes: int) -> tuple[float, float]:
    """The least and the largest probability of fake that so many videos can support: Laplace's rule of succession.

    That a high score means fake was seen on no more than the fake videos, even if on all of them, and that leaves a
    chance of 1 / (n + 2) that the next one is real; likewise low scores and real videos.

    Args:
        reals: Real videos of validation.
        fakes: Fake videos of validation.

    Example:
        >>> supported(8, 98)
        (0.1, 0.99)
    """
    return 1 / (reals + 2), (fakes + 1) / (fakes + 2)


def calibrated(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probabilities at another temperature, sigmoid(logit(p) / T); their order stays.

    Args:
        probabilities: Any shape, in [0, 1]; kept 1e-15 away from 0 and 1, where a logit has no end.
        temperature: T > 0; at 1 nothing changes.

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
    """The bin of each probability: of equal width, closed below; 1 belongs to the last one."""
    return np.minimum((np.asarray(probabilities, dtype=np.float64) * bins).astype(np.int64), bins - 1)


def reliability(probabilities: NDArray[np.floating], labels: NDArray[np.integer], *, bins: int = BINS) -> Reliability:
    """Means of the probability of fake and shares of fakes, in bins of equal width.

    Args:
        probabilities: (N,) of fake, in [0, 1].
        labels: (N,) 0 real, 1 fake.
        bins: Their number.
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
    """Scores as float64 and labels as int64, one a row.

    Args:
        probabilities: (N,) scores.
        labels: (N,).
        any_number: Whether scores may lie outside of [0, 1].

    Raises:
        UserError: They differ in length, a score isn't a finite number in [0, 1], or a label is neither 0 nor 1.
    """
    scores, fake = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != fake.shape:
        raise UserError(f"scores of shape {scores.shape} and labels of shape {fake.shape}: give one of each a row")
    require_finite(scores)
    wrong = (scores < 0) | (scores > 1)
    if wrong.any() and not any_number:
        raise UserError(
            f"{wrong.sum()} of {len(scores)} scores aren't probabilities, the first is {scores[wrong][0]}; "
            "expected numbers from 0 to 1"
        )
    if not np.isin(fake, (0, 1)).all():
        raise UserError(f"labels {np.unique(fake).tolist()}: expected 0 for real and 1 for fake; leave the rest out")
    return scores, fake.astype(np.int64)


def logit(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds; probabilities are kept 1e-15 away from 0 and 1, where these have no end."""
    safe = np.clip(probabilities, _TINY, 1 - _TINY)
    return np.log(safe) - np.log1p(-safe)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -logits))
