"""The table of metrics: name, label, direction, and the function that computes each.

To add a metric, add a function and a row here. Training, evaluation, sweeps and reports take their lists of metrics
from this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.calibration import BINS, bin_of
from addnet.evaluation.intervals import AMOUNT, AREA, SHARE, Method

_TINY = 1e-15  # probabilities are clipped to this distance from 0 and 1 in log loss

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Weights of the rows called fake at each threshold, from above all scores downwards.

    Attributes:
        fakes: (R, T) weight of fakes called fake; the last column is the weight of all fakes.
        reals: (R, T) weight of reals called fake; the last column is the weight of all reals.
    """

    fakes: Array
    reals: Array

    @cached_property
    def steps(self) -> Array:
        """(R, T - 1) the weight of the fakes at each threshold after the first."""
        return np.diff(self.fakes, axis=1)

    def tpr_at(self, at: NDArray[np.intp]) -> Array:
        """(R,) true positive rates at one threshold of each line."""
        return _picked(self.fakes, at) / self.fakes[:, -1]

    def fpr_at(self, at: NDArray[np.intp]) -> Array:
        """(R,) false positive rates at one threshold of each line."""
        return _picked(self.reals, at) / self.reals[:, -1]


def _picked(values: Array, at: NDArray[np.intp]) -> Array:
    return np.asarray(np.take_along_axis(values, at[:, None], axis=1)[:, 0])


@dataclass(frozen=True)
class Confusion:
    """Weights of rows at one threshold, (R,) each: true and false negatives (called real) and positives."""

    tn: Array
    fp: Array
    fn: Array
    tp: Array


@dataclass(frozen=True)
class MeanMetric:
    """A metric that is computed from weighted means over rows.

    Attributes:
        values: Probabilities and labels → (N, K) values of rows.
        of_means: (R, K) weighted means of these values → (R,) metric.
    """

    values: Callable[[Array, NDArray[np.int64]], Array]
    of_means: Callable[[Array], Array]


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Attributes:
        name: Name in logs, JSON and configs.
        label: Label in reports.
        of_curve: Computes it from the ranking, which needs both classes.
        of_confusion: Computes it from the verdicts at a threshold.
        of_rows: Computes it from probabilities.
        interval: How its interval is computed from resamples.
        reals: Number of real sources, or videos, that it requires; with fewer, it depends on chance.
        higher_is_better: Whether higher values are better.
        logged: Whether training logs it.
    """

    name: str
    label: str
    of_curve: Callable[[Curve], Array] | None = None
    of_confusion: Callable[[Confusion], Array] | None = None
    of_rows: MeanMetric | None = None
    interval: Method = SHARE
    reals: int = 0
    higher_is_better: bool = True
    logged: bool = True


def auroc(curve: Curve) -> Array:
    """The probability that a fake scores above a real; ties count half."""
    # for each step of fakes, the reals above it twice: those before the step, and those up to its end
    above = np.einsum("rt,rt->r", curve.steps, curve.reals[:, 1:] + curve.reals[:, :-1])
    fakes, reals = curve.fakes[:, -1], curve.reals[:, -1]
    return np.asarray((fakes * reals - above / 2) / (fakes * reals))


def average_precision(curve: Curve) -> Array:
    """Average precision: the sum of precision times the steps of recall."""
    called = curve.fakes[:, 1:] + curve.reals[:, 1:]
    called[called == 0] = 1  # where nothing is called fake, there is no step either
    precision = np.divide(curve.fakes[:, 1:], called, out=called)
    return np.asarray(np.einsum("rt,rt->r", curve.steps, precision) / curve.fakes[:, -1])


def equal_error_rate(curve: Curve) -> Array:
    """Where false positive rate and false negative rate are equal, interpolated linearly along the ROC curve.

    Taking the nearest threshold instead, as is often done, is wrong by up to half a step on small sets.
    """

    def gap(at: NDArray[np.intp]) -> Array:
        # FPR − FNR rises from −1 to 1
        return curve.fpr_at(at) + curve.tpr_at(at) - 1

    after = _first(curve, lambda at: gap(at) >= 0)
    low, high = gap(after - 1), gap(after)
    start, end = curve.fpr_at(after - 1), curve.fpr_at(after)
    share = np.divide(-low, high - low, out=np.zeros_like(low), where=high > low)
    return np.asarray(start + share * (end - start))


def tpr_at(limit: float) -> Callable[[Curve], Array]:
    """The largest true positive rate at a threshold with a false positive rate of at most `limit`, not interpolated."""
    return lambda curve: curve.tpr_at(_first(curve, lambda at: curve.fpr_at(at) > limit) - 1)


def _first(curve: Curve, holds: Callable[[NDArray[np.intp]], NDArray[np.bool_]]) -> NDArray[np.intp]:
    """(R,) the first threshold, by bisection, at which a condition holds that doesn't hold at 0 and then stays true."""
    before, after = np.zeros(len(curve.fakes), dtype=np.intp), np.full(len(curve.fakes), curve.fakes.shape[1] - 1)
    while (after - before > 1).any():
        middle = (before + after) // 2
        met = holds(middle)
        before, after = np.where(met, before, middle), np.where(met, middle, after)
    return after


def accuracy(at: Confusion) -> Array:
    """The share of rows with a correct verdict."""
    return ratio(at.tn + at.tp, at.tn + at.fp + at.fn + at.tp)


def balanced_accuracy(at: Confusion) -> Array:
    """The mean over both classes of the share of rows with a correct verdict; NaN with a single class."""
    return (ratio(at.tn, at.tn + at.fp) + ratio(at.tp, at.fn + at.tp)) / 2


def f1_of_fakes(at: Confusion) -> Array:
    """The harmonic mean of precision and recall of fakes; NaN without fakes."""
    return np.where(at.fn + at.tp > 0, ratio(2 * at.tp, 2 * at.tp + at.fp + at.fn), np.nan)


def _losses(probabilities: Array, labels: NDArray[np.int64]) -> Array:
    safe = np.clip(probabilities, _TINY, 1 - _TINY)
    return -np.where(labels == 1, np.log(safe), np.log1p(-safe))[:, None]


def _gaps(probabilities: Array, labels: NDArray[np.int64]) -> Array:
    in_bin = bin_of(probabilities)[:, None] == np.arange(BINS)
    return np.asarray(in_bin * (probabilities - labels)[:, None])


def ratio(part: Array, whole: Array) -> Array:
    """(R,) part divided by whole; NaN where the whole is 0."""
    quotient: Array = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return quotient


LOG_LOSS = MeanMetric(_losses, lambda means: means[:, 0])
# The calibration error sorts the probabilities of fake into bins of equal width; it is the mean over bins, weighted by
# their rows, of |mean probability - share of fakes|. The variant that uses the confidence in the predicted class,
# whichever it is, gives other numbers.
CALIBRATION_ERROR = MeanMetric(_gaps, lambda means: np.abs(means).sum(axis=1))

_ROWS = (
    Metric("auroc", "AUROC", of_curve=auroc, interval=AREA),
    Metric("ap", "AP", of_curve=average_precision, interval=AREA),
    Metric("eer", "EER", of_curve=equal_error_rate, higher_is_better=False),
    Metric("tpr_at_1_fpr", "TPR at 1 % FPR", of_curve=tpr_at(0.01), reals=300, logged=False),
    Metric("tpr_at_5_fpr", "TPR at 5 % FPR", of_curve=tpr_at(0.05), reals=50, logged=False),
    Metric("balanced_accuracy", "balanced accuracy", of_confusion=balanced_accuracy),
    Metric("accuracy", "accuracy", of_confusion=accuracy),
    Metric("f1", "F1 of fakes", of_confusion=f1_of_fakes),
    Metric("log_loss", "log loss", of_rows=LOG_LOSS, interval=AMOUNT, higher_is_better=False),
    Metric(
        "ece", "calibration error", of_rows=CALIBRATION_ERROR, interval=AMOUNT, higher_is_better=False, logged=False
    ),
)
TABLE = {metric.name: metric for metric in _ROWS}
LOGGED = tuple(name for name, metric in TABLE.items() if metric.logged)
# the metrics by their input (ranking, verdicts, probabilities): name → function
RANKED = {name: metric.of_curve for name, metric in TABLE.items() if metric.of_curve}
CALLED = {name: metric.of_confusion for name, metric in TABLE.items() if metric.of_confusion}
SAID = {name: metric.of_rows for name, metric in TABLE.items() if metric.of_rows}
