"""Intervals cover what they promise, have a width without errors, and aren't given where a sample can't carry them."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from addnet.evaluation.decision import Decision
from addnet.evaluation.intervals import AMOUNT, AREA, SHARE, Support, freedom, wilson
from addnet.evaluation.levels import ResampledSet
from addnet.evaluation.table import TABLE

ROOT = Path(__file__).parents[1]
TEN = Support(10, 9)


def _script():
    spec = importlib.util.spec_from_file_location("coverage_script", ROOT / "scripts" / "coverage.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


coverage = _script()


@pytest.mark.parametrize("method", [SHARE, AREA])
@pytest.mark.parametrize("value", [0.0, 0.003, 0.5, 0.97, 1.0])
def test_shares_stay_within_0_and_1_and_never_are_certain(method, value):
    low, high = method.ends(value, 0.02 if 0 < value < 1 else 0.0, TEN)
    assert 0 <= low <= value <= high <= 1
    assert high - low > 0.01
    other = method.ends(1 - value, 0.02 if 0 < value < 1 else 0.0, TEN)
    assert (low, high) == pytest.approx((1 - other[1], 1 - other[0]))


def test_without_errors_each_source_counts_once():
    assert SHARE.ends(1.0, 0.0, TEN) == AREA.ends(1.0, 0.0, TEN) == wilson(10, 10)


def test_shares_have_the_effective_number_of_rows():
    """900 rows that spread like 100 tell as much as 100."""
    spread = (0.1 * 0.9 / 100) ** 0.5
    assert SHARE.ends(0.1, spread, Support(10**6, 10**9)) == pytest.approx(wilson(10, 100), abs=1e-6)


def test_amounts_have_no_upper_limit_and_stay_above_0():
    low, high = AMOUNT.ends(2.0, 0.5, TEN)
    assert 0 < low < 2 < high
    assert low * high == pytest.approx(4)


def test_few_that_carry_all_leave_few_degrees_of_freedom():
    random, strata = np.random.default_rng(0), np.repeat([1, 2], 100)
    normal = random.normal(size=200)
    assert 120 < freedom(normal, strata) < 280
    one = np.zeros(200)
    one[3] = 1.0
    assert freedom(one, strata) < 2.1
    assert freedom(np.ones(200), strata) == np.inf


def test_what_a_sample_cannot_carry_is_not_given():
    few = coverage.drawn(coverage.Cell(0.9, 299, 1, 1), np.random.default_rng(0))
    found = ResampledSet.of(few, resamples=5, seed=0).metrics(Decision())
    assert np.isnan(found["tpr_at_1_fpr"].value)
    assert np.isfinite(found["tpr_at_5_fpr"].value)
    alone = replace(few, sources=[str(number // 18) for number in range(len(few.video_ids))])  # 34 sources
    assert np.isnan(ResampledSet.of(alone, resamples=5, seed=0).metrics(Decision())["tpr_at_5_fpr"].value)


def test_the_simulation_knows_the_truth():
    """Against a single large data set."""
    cell = coverage.Cell(0.95, 8000, 4, 1)
    found = coverage.told(coverage.drawn(cell, np.random.default_rng(1)), 0)
    for name, value in coverage.truth(cell).items():
        assert found[name]["value"] == pytest.approx(value, abs=0.04), name


def test_the_page_has_what_the_simulation_found():
    assert coverage.table() in coverage.PAGE.read_text(encoding="utf-8")
    assert {metric.reals for metric in TABLE.values()} == {0, 50, 300}  # what the page says


def test_intervals_cover_the_truth_where_percentiles_do_not():
    share, sets = coverage.coverage(coverage.Cell(0.99, 10, 4, 5), sets=100)["auroc"]
    assert sets == 100
    assert share >= 0.82  # .91 in 200 sets; percentiles .70


@pytest.mark.coverage
@pytest.mark.parametrize("cell", list(coverage.cells()), ids=str)
def test_every_interval_covers_90_to_99_percent(cell):
    """Of 200 sets: four standard errors of a share of .90 below it are .815, and all of them may cover."""
    for name, (share, sets) in coverage.coverage(cell).items():
        assert share >= 0.90 - 4 * (0.09 / sets) ** 0.5, (name, share)
