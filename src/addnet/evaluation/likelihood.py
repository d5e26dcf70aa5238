"""Weight of evidence of scores: likelihood ratios, their quality and their bounds.

A likelihood ratio says how much more often a score occurs on fakes than on real ones in a named population; its
consequence for a case depends on the other evidence. Ratios are fitted by a balanced logistic regression on the log
odds of scores, computed for held-out sources, and bounded by what the number of sources supports (Vergeer et al. 2016).
Cllr is that of Brümmer and du Preez 2006.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.evaluation.calibration import logit
from addnet.evaluation.levels import ResampledSet
from addnet.untrusted.texts import shown
from addnet.wording import count

FEWEST = 50  # sources needed of each class: with fewer, fit and bounds depend on chance
LEVELS = ("frame", "video")
_FOLDS = 5
_QUANTILES = 101
_STEP = 0.01  # resolution of the bounds, in log10
_WEAK = 1e6  # inverse strength of the penalty on the slope: negligible, but keeps it finite for separable classes
_LN10 = math.log(10)

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LikelihoodRatio:
    """Turns a score into a log10 likelihood ratio for fake against real.

    Attributes:
        slope: Slope per unit of the log odds of a probability, or per unit of other scores.
        intercept: log10 ratio at log odds of 0, or at a score of 0.
        low: Lower bound of the log10 ratio, at most 0.
        high: Upper bound of the log10 ratio, at least 0.
        population: The population that it was calibrated on, in words.
        probability: Whether scores are probabilities.
    """

    slope: float
    intercept: float
    low: float
    high: float
    population: str
    probability: bool = True

    def log10(self, scores: _Floats) -> _Floats:
        """(N,) log10 likelihood ratios of scores, within the bounds."""
        steps = logit(scores) if self.probability else scores
        return np.clip(self.slope * steps + self.intercept, self.low, self.high)

    def told(self, score: float) -> str:
        """The ratio of a score in words, with its bounds.

        Example:
            >>> LikelihoodRatio(0.5, 0.1, -1.9, 2.0, "a").told(0.99)
            'log10 LR +2.0 (bounded at −1.9 and +2.0)'
        """
        signs = [f"{value:+.1f}".replace("-", "−") for value in (*self.log10(np.array([score])), self.low, self.high)]
        return "log10 LR {} (bounded at {} and {})".format(*signs)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> LikelihoodRatio:
        """Builds it from the result of `asdict`.

        Raises:
            UserError: A value is missing, isn't a number or is out of range.
        """
        try:
            slope, intercept, low, high = (float(values[name]) for name in ("slope", "intercept", "low", "high"))
            ratio = cls(slope, intercept, low, high, str(values["population"]), bool(values["probability"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"not a valid likelihood ratio: {shown(dict(values), most=200)}") from error
        if not math.isfinite(slope + intercept + high - low) or slope <= 0 or not low <= 0 <= high:
            raise UserError(
                f"not a valid likelihood ratio: {asdict(ratio)}; expected finite numbers with slope > 0 and "
                "low <= 0 <= high"
            )
        return ratio


@dataclass(frozen=True)
class CalibratedRatios:
    """A calibration and the ratios of the rows it was fitted to, each computed from the other folds.

    Attributes:
        ratio: The calibration, fitted to all rows.
        log10: (N,) log10 likelihood ratios of the rows, within its bounds.
        labels: (N,) 0 real, 1 fake.
    """

    ratio: LikelihoodRatio
    log10: _Floats
    labels: NDArray[np.int64]

    def numbers(self) -> dict[str, Any]:
        """Plain values: the ratio, Cllr, the minimum of Cllr for this order of rows, and quantiles of each class."""
        costs = {"cllr": cllr(self.log10, self.labels), "cllr_min": self._least()}
        shares = np.linspace(0, 1, _QUANTILES)
        quantiles = {
            name: np.quantile(self.log10[self.labels == label], shares).tolist()
            for label, name in enumerate(("real", "fake"))
        }
        return asdict(self.ratio) | costs | {"quantiles": quantiles}

    def _least(self) -> float:
        from sklearn.isotonic import IsotonicRegression

        share = float(self.labels.mean())
        best = IsotonicRegression(y_min=0, y_max=1).fit_transform(self.log10, self.labels)
        return cllr((logit(best) - math.log(share / (1 - share))) / _LN10, self.labels)


def weigh(drawn: ResampledSet, population: str, *, seed: int) -> CalibratedRatios | str:
    """Calibrates likelihood ratios on a data set at one level.

    Args:
        drawn: The scores of the data set.
        population: Description of the data set in words.
        seed: Seed of the folds.

    Returns:
        The calibration; or in words why there is none: too few sources, or scores that aren't higher for fakes.
    """
    scored, columns = drawn.scored, drawn.columns
    sources = [len(np.unique(columns[scored.labels == label])) for label in (0, 1)]
    if min(sources) < FEWEST:
        return (
            f"no likelihood ratio: {count(sources[0], 'real source')} and {count(sources[1], 'fake source')}; {FEWEST} "
            "of each are needed"
        )
    steps = logit(scored.probabilities) if scored.is_probability else scored.probabilities
    log10 = np.zeros(len(steps))
    folds = _folds(drawn.units.strata, seed)[columns]  # (N,) the fold of each row's source
    for fold in range(_FOLDS):
        own = folds == fold
        slope, intercept = _fitted(steps[~own], scored.labels[~own])
        log10[own] = slope * steps[own] + intercept
    slope, intercept = _fitted(steps, scored.labels)
    if slope <= 0:
        return "no likelihood ratio: fakes don't score higher than real ones"
    low, high = bounds(log10, scored.labels)
    ratio = LikelihoodRatio(slope, intercept, low, high, population, scored.is_probability)
    return CalibratedRatios(ratio, np.clip(log10, low, high), scored.labels)


def _folds(strata: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(U,) the fold of each source; each stratum is spread evenly over the folds."""
    random, folds = np.random.default_rng([seed, len(strata)]), np.zeros(len(strata), dtype=np.int64)
    for stratum in np.unique(strata):
        members = random.permutation(np.flatnonzero(strata == stratum))
        folds[members] = np.arange(len(members)) % _FOLDS
    return folds


def _fitted(steps: _Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Slope and intercept in log10, fitted with both classes weighted equally."""
    from sklearn.linear_model import LogisticRegression

    middle, spread = float(steps.mean()), float(steps.std()) or 1.0
    model = LogisticRegression(C=_WEAK, class_weight="balanced").fit(((steps - middle) / spread)[:, None], labels)
    slope = float(model.coef_[0, 0]) / spread
    return slope / _LN10, (float(model.intercept_[0]) - slope * middle) / _LN10


def cllr(log10: _Floats, labels: NDArray[np.int64]) -> float:
    """The cost of likelihood ratios in bits: 0 if they are always right and certain, 1 if they say nothing (LR 1).

    Args:
        log10: (N,) log10 likelihood ratios.
        labels: (N,) 0 real, 1 fake.

    Example:
        >>> cllr(np.zeros(4), np.array([0, 0, 1, 1]))
        1.0
    """
    natural = log10 * _LN10
    costs = [np.logaddexp(0, sign * natural[labels == label]).mean() for label, sign in ((0, 1), (1, -1))]
    return float(np.mean(costs) / math.log(2))


def bounds(log10: _Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """The range of log10 likelihood ratios that a data set supports: the empirical bounds of Vergeer et al. 2016.

    At each threshold, deciding by the ratios must cost less than ignoring them, even with one more missed fake and one
    more real called fake at every threshold. The bounds are where this first fails on either side of 0.

    Args:
        log10: (N,) log10 likelihood ratios.
        labels: (N,) 0 real, 1 fake.
    """
    reals, fakes = (np.sort(log10[labels == label]) for label in (0, 1))
    most = math.log10(len(reals) + 1), math.log10(len(fakes) + 1)

    def supported(thresholds: _Floats) -> NDArray[np.bool_]:
        # miss and false positive rates with one more error each, and the cost of deciding by the ratios or without
        missed = (np.searchsorted(fakes, thresholds, side="right") + 1) / (len(fakes) + 1)
        accused = (len(reals) - np.searchsorted(reals, thresholds, side="right") + 1) / (len(reals) + 1)
        odds = 10**thresholds
        return np.asarray(missed + odds * accused <= np.minimum(1, odds))

    ends = []
    for sign, least, limit in ((-1, log10.min(), most[1]), (1, log10.max(), most[0])):
        reach = min(limit, max(0.0, sign * float(least)))
        steps = np.arange(0, reach + _STEP, _STEP)
        good = supported(sign * steps)
        good[0] = True
        ends.append(float(min(reach, steps[np.argmin(good) - 1 if not good.all() else -1])))
    return 0.0 - ends[0], ends[1]


def likelihood_numbers(drawn: ResampledSet, *, seed: int) -> dict[str, dict[str, Any]]:
    """Each of `LEVELS` of a data set → `CalibratedRatios.numbers`, or {"why_not": in words}.

    Args:
        drawn: The scores of the data set, one row per image.
        seed: Seed of the folds.
    """
    name, numbers = drawn.scored.name, {}
    for level, unit in zip(LEVELS, ("image", "video"), strict=True):
        here = drawn.at(level)
        labels = here.scored.labels
        real, fake = int((labels == 0).sum()), int((labels == 1).sum())
        population = f"{count(real, f'real {unit}')} and {count(fake, f'fake {unit}')} of {name}"
        weighed = weigh(here, population, seed=seed)
        numbers[level] = {"why_not": weighed} if isinstance(weighed, str) else weighed.numbers()
    return numbers


def require_sklearn() -> None:
    """Checks that likelihood ratios can be fitted.

    Raises:
        UserError: scikit-learn isn't installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise UserError(f"lr=true needs scikit-learn ({error}): run pip install 'addnet[lr]'") from error
