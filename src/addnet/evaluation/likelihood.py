"""Scores → weight of evidence: likelihood ratios, how good they are, and between which bounds they can be told.

A likelihood ratio says how much more often such a score is seen on fakes than on real ones, in a population that is
named; what that makes of a case is for whoever knows the rest of it. Ratios are fitted by a balanced logistic
regression on the log odds of scores, told of sources that took no part in the fit, and bounded where so many sources
can't support more (Vergeer et al. 2016). Cllr is that of Brümmer and du Preez 2006.
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

FEWEST = 50  # sources of each class: with fewer, bounds and fit are chance
LEVELS = ("frame", "video")
_FOLDS = 5
_QUANTILES = 101
_STEP = 0.01  # of the bounds, in log10
_WEAK = 1e6  # inverse strength of the penalty on the slope: none to speak of, but finite where classes are apart
_LN10 = math.log(10)

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LikelihoodRatio:
    """How a score becomes a log10 likelihood ratio, for fake against real.

    Attributes:
        slope: Per log odds of a probability, or per unit of other scores.
        intercept: The ratio at log odds of 0.
        low: Of what is told, at most 0.
        high: Of what is told, at least 0.
        population: What it was calibrated on, in words.
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
        """From `asdict`.

        Raises:
            UserError: A value is missing or no number.
        """
        try:
            slope, intercept, low, high = (float(values[name]) for name in ("slope", "intercept", "low", "high"))
            found = cls(slope, intercept, low, high, str(values["population"]), bool(values["probability"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"no likelihood ratio: {shown(dict(values), most=200)}") from error
        if not math.isfinite(slope + intercept + high - low) or slope <= 0 or not low <= 0 <= high:
            raise UserError(f"no likelihood ratio, whose slope is above 0 and whose bounds hold 0: {asdict(found)}")
        return found


@dataclass(frozen=True)
class CalibratedRatios:
    """A calibration, and the ratios of the rows it was made from, each told by sources of other folds.

    Attributes:
        ratio: Fitted to all rows.
        log10: (N,) within its bounds.
        labels: (N,) 0 real, 1 fake.
    """

    ratio: LikelihoodRatio
    log10: _Floats
    labels: NDArray[np.int64]

    def numbers(self) -> dict[str, Any]:
        """Plain values: the ratio, Cllr, the least that the same order of rows could have, and quantiles of classes."""
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
        drawn: Its scores.
        population: What it is, in words.
        seed: Of the folds.

    Returns:
        The calibration; or in words why there is none: too few sources, or scores that don't grow with fakes.
    """
    scored, columns = drawn.scored, drawn.columns
    sources = [len(np.unique(columns[scored.labels == label])) for label in (0, 1)]
    if min(sources) < FEWEST:
        return (
            f"no likelihood ratio: {count(sources[0], 'real source')} and {count(sources[1], 'fake one')}; {FEWEST} of "
            "each are needed"
        )
    steps = logit(scored.probabilities) if scored.is_probability else scored.probabilities
    found = np.zeros(len(steps))
    folds = _folds(drawn.units.strata, seed)[columns]
    for fold in range(_FOLDS):
        own = folds == fold
        slope, intercept = _fitted(steps[~own], scored.labels[~own])
        found[own] = slope * steps[own] + intercept
    slope, intercept = _fitted(steps, scored.labels)
    if slope <= 0:
        return "no likelihood ratio: fakes don't score higher than real ones"
    low, high = bounds(found, scored.labels)
    ratio = LikelihoodRatio(slope, intercept, low, high, population, scored.is_probability)
    return CalibratedRatios(ratio, np.clip(found, low, high), scored.labels)


def _folds(strata: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(U,) the fold of each source: as many of each stratum in each, give or take one."""
    random, folds = np.random.default_rng([seed, len(strata)]), np.zeros(len(strata), dtype=np.int64)
    for stratum in np.unique(strata):
        members = random.permutation(np.flatnonzero(strata == stratum))
        folds[members] = np.arange(len(members)) % _FOLDS
    return folds


def _fitted(steps: _Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Slope and intercept in log10, at even odds."""
    from sklearn.linear_model import LogisticRegression

    middle, spread = float(steps.mean()), float(steps.std()) or 1.0
    model = LogisticRegression(C=_WEAK, class_weight="balanced").fit(((steps - middle) / spread)[:, None], labels)
    slope = float(model.coef_[0, 0]) / spread
    return slope / _LN10, (float(model.intercept_[0]) - slope * middle) / _LN10


def cllr(log10: _Floats, labels: NDArray[np.int64]) -> float:
    """The cost of likelihood ratios in bits: 0 if they are always right and sure, 1 if they say nothing (LR 1).

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
    """Between which log10 likelihood ratios a set can be believed: the empirical bounds of Vergeer et al. 2016.

    At each threshold, deciding by the ratios must cost less than not looking at them, also if one fake more were missed
    at every threshold and one real more accused. Where that fails first, to either side of 0, ratios end.

    Args:
        log10: (N,) log10 likelihood ratios.
        labels: (N,) 0 real, 1 fake.
    """
    reals, fakes = (np.sort(log10[labels == label]) for label in (0, 1))
    most = math.log10(len(reals) + 1), math.log10(len(fakes) + 1)

    def believed(thresholds: _Floats) -> NDArray[np.bool_]:
        missed = (np.searchsorted(fakes, thresholds, side="right") + 1) / (len(fakes) + 1)
        accused = (len(reals) - np.searchsorted(reals, thresholds, side="right") + 1) / (len(reals) + 1)
        odds = 10**thresholds
        return np.asarray(missed + odds * accused <= np.minimum(1, odds))

    ends = []
    for sign, least, limit in ((-1, log10.min(), most[1]), (1, log10.max(), most[0])):
        reach = min(limit, max(0.0, sign * float(least)))
        steps = np.arange(0, reach + _STEP, _STEP)
        good = believed(sign * steps)
        good[0] = True
        ends.append(float(min(reach, steps[np.argmin(good) - 1 if not good.all() else -1])))
    return 0.0 - ends[0], ends[1]


def likelihood_numbers(drawn: ResampledSet, *, seed: int) -> dict[str, dict[str, Any]]:
    """Each of `LEVELS` of a data set → `CalibratedRatios.numbers`, or {"why_not": in words}.

    Args:
        drawn: Its scores, one row an image.
        seed: Of the folds.
    """
    name, found = drawn.scored.name, {}
    for level, unit in zip(LEVELS, ("image", "video"), strict=True):
        here = drawn.at(level)
        labels = here.scored.labels
        real, fake = int((labels == 0).sum()), int((labels == 1).sum())
        population = f"{count(real, f'real {unit}')} and {count(fake, f'fake {unit}')} of {name}"
        weighed = weigh(here, population, seed=seed)
        found[level] = {"why_not": weighed} if isinstance(weighed, str) else weighed.numbers()
    return found


def require_sklearn() -> None:
    """Raises where likelihood ratios can't be fitted.

    Raises:
        UserError: scikit-learn isn't installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise UserError(f"lr=true needs scikit-learn ({error}): pip install 'addnet[lr]'") from error
