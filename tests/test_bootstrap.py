"""Intervals hold what they promise, videos are drawn whole, and comparisons are paired."""

from dataclasses import replace

import numpy as np
import pytest

from addnet.errors import UserError
from addnet.evaluation import bootstrap
from addnet.evaluation.bootstrap import Draws, ResampledMetric, Units, average, resampled
from addnet.evaluation.ranking import ranking
from addnet.evaluation.scored import ScoredSet
from addnet.evaluation.weighted import calling


def _videos(random, *, videos=40, frames=8, spread=1.0, shift=1.0):
    """Frames of a video share most of what moves them."""
    labels = np.arange(videos) % 2
    middle = random.normal(shift * labels, spread)
    scores = np.repeat(middle, frames) + random.normal(0, 0.3, videos * frames)
    return 1 / (1 + np.exp(-scores)), np.repeat(labels, frames), np.repeat(np.arange(videos), frames)


def _accuracy(probabilities, labels, units, draws):
    return resampled(calling(probabilities, labels, threshold=0.62, columns=units), draws, units, labels)["accuracy"]


def _every(draws):
    return draws.of(slice(0, len(draws)))


def test_draws_keep_all_strata_and_follow_the_seed():
    strata = np.array([1, 2, 2, 1, 3, 3, 3])
    draws = _every(Draws(strata, 200, seed=1, name="a"))
    for stratum, size in ((1, 2), (2, 2), (3, 3)):
        assert (draws[:, strata == stratum].sum(axis=1) == size).all()
    np.testing.assert_array_equal(draws, _every(Draws(strata, 200, seed=1, name="a")))
    assert (draws != _every(Draws(strata, 200, seed=2, name="a"))).any()
    assert (draws != _every(Draws(strata, 200, seed=1, name="b"))).any()
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.25)


def test_draws_are_the_same_however_many_are_looked_at_at_once(monkeypatch):
    videos = np.arange(40)
    probabilities, labels, _ = _videos(np.random.default_rng(4), frames=1)
    found = []
    for at_once, kept in ((bootstrap._AT_ONCE, bootstrap._KEPT), (100, 0)):
        monkeypatch.setattr(bootstrap, "_AT_ONCE", at_once)
        monkeypatch.setattr(bootstrap, "_KEPT", kept)
        found.append(_accuracy(probabilities, labels, videos, Draws(labels, 50, seed=0)).draws)
    np.testing.assert_array_equal(*found)


def test_units_are_sources_where_they_are_known():
    names = ["r1", "f1a", "f1b", "r2", "f3"]
    scored = ScoredSet("a", np.full(5, 0.5), np.array([0, 1, 1, 0, 1]), np.arange(5), names, names)
    alone = Units.of(scored)
    assert alone.of_video.tolist() == [3, 0, 1, 4, 2]  # by name
    assert alone.strata.tolist() == [2, 2, 2, 1, 1]
    whole = Units.of(replace(scored, sources=["1", "1", "1", "2", "3"]))
    assert whole.of_video.tolist() == [0, 0, 0, 1, 2]
    assert whole.strata.tolist() == [3, 1, 2]


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(11)
    truth = _accuracy_by_simulation()
    hits, rounds = 0, 300
    for number in range(rounds):
        probabilities, labels, videos = _videos(random)
        draws = Draws(np.arange(40) % 2, 200, seed=number)
        found = _accuracy(probabilities, labels, videos, draws).interval()
        hits += found["low"] <= truth <= found["high"]
    assert 0.90 <= hits / rounds <= 0.98


def _accuracy_by_simulation():
    probabilities, labels, _ = _videos(np.random.default_rng(12), videos=100_000, frames=2)
    return ((probabilities > 0.62) == labels).mean()


def test_frames_of_one_video_move_together():
    probabilities, labels, videos = _videos(np.random.default_rng(3))
    whole = _accuracy(probabilities, labels, videos, Draws(np.arange(40) % 2, 500, seed=0))
    rows = np.arange(len(labels))
    naive = _accuracy(probabilities, labels, rows, Draws(labels, 500, seed=0))
    width = [found.interval()["high"] - found.interval()["low"] for found in (whole, naive)]
    assert whole.value == naive.value
    assert width[0] > 1.8 * width[1]


def _compared(better, *, seed=0):
    random = np.random.default_rng(5)
    probabilities, labels, videos = _videos(random)
    other = np.clip(probabilities + better * (2 * labels - 1) + random.normal(0, 0.02, len(labels)), 0, 1)
    draws = Draws(np.arange(40) % 2, 500, seed=seed)
    pair = [
        resampled(ranking(p, labels, columns=videos), draws, videos, labels)["auroc"] for p in (other, probabilities)
    ]
    return pair[0].minus(pair[1]), pair


def test_a_paired_difference_is_narrower_than_two_intervals_apart():
    difference, pair = _compared(0.1)
    told = difference.difference()
    assert told["value"] == pytest.approx(pair[0].value - pair[1].value)
    assert told["low"] > 0
    assert told["p"] == pytest.approx(2 / 501)
    assert told["p_at_most"]
    lows_and_highs = [found.interval() for found in pair]
    assert lows_and_highs[0]["low"] < lows_and_highs[1]["high"]  # apart, they would not tell


def test_no_difference_is_told_as_none():
    assert _compared(0.0)[0].difference()["p"] > 0.1
    same = ResampledMetric(0.8, np.linspace(0.7, 0.9, 50)).minus(ResampledMetric(0.8, np.linspace(0.7, 0.9, 50)))
    assert same.difference() == {"value": 0, "low": 0, "high": 0, "p": 1.0, "p_at_most": False}


def test_a_single_video_of_a_class_gives_no_interval():
    labels = np.array([0, 1, 1])
    found = resampled(ranking(np.array([0.1, 0.9, 0.8]), labels), Draws(labels, 20, seed=0), np.arange(3), labels)
    assert found["auroc"].interval() == {"value": 1.0, "low": None, "high": None}
    assert found["auroc"].minus(found["auroc"]).difference()["p"] is None


def test_an_average_over_data_sets_is_steadier_than_each():
    random = np.random.default_rng(0)
    parts = [ResampledMetric(0.8, random.normal(0.8, 0.05, 2000)) for _ in range(4)]
    mean = average(parts).interval()
    assert mean["value"] == pytest.approx(0.8)
    assert mean["high"] - mean["low"] == pytest.approx(0.05 * 1.96, rel=0.1)  # half of 4 × 0.05 × 0.98


def test_no_resamples_are_refused():
    with pytest.raises(UserError, match="resamples=0"):
        Draws(np.array([0, 1]), 0, seed=0)
