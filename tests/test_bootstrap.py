"""Intervals hold what they promise, videos are drawn whole, and comparisons are paired."""

import numpy as np
import pytest

from addnet.errors import UserError
from addnet.evaluation.bootstrap import Resampled, average, resampled, video_draws
from addnet.evaluation.ranking import ranked_figures
from addnet.evaluation.weighted import called_figures, weighted_figures


def _videos(random, *, videos=40, frames=8, spread=1.0, shift=1.0):
    """Frames of a video share most of what moves them."""
    labels = np.arange(videos) % 2
    middle = random.normal(shift * labels, spread)
    scores = np.repeat(middle, frames) + random.normal(0, 0.3, videos * frames)
    return 1 / (1 + np.exp(-scores)), np.repeat(labels, frames), np.repeat(np.arange(videos), frames)


def _accuracy(probabilities, labels, videos, draws, video_labels):
    def figures(weights):
        return called_figures(probabilities, labels, weights, threshold=0.62, columns=videos)

    return resampled(figures, draws, video_labels)["accuracy"]


def test_draws_keep_both_classes_and_follow_the_seed():
    labels = np.array([0, 1, 1, 0, 1, 1, 1])
    draws = video_draws(labels, 200, seed=1, name="a")
    assert (draws[:, labels == 0].sum(axis=1) == 2).all()
    assert (draws[:, labels == 1].sum(axis=1) == 5).all()
    np.testing.assert_array_equal(draws, video_draws(labels, 200, seed=1, name="a"))
    assert (draws != video_draws(labels, 200, seed=2, name="a")).any()
    assert (draws != video_draws(labels, 200, seed=1, name="b")).any()
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.25)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(11)
    truth = _accuracy_by_simulation()
    hits, rounds = 0, 300
    for number in range(rounds):
        probabilities, labels, videos = _videos(random)
        draws = video_draws(np.arange(40) % 2, 200, seed=number)
        found = _accuracy(probabilities, labels, videos, draws, np.arange(40) % 2).interval()
        hits += found["low"] <= truth <= found["high"]
    assert 0.90 <= hits / rounds <= 0.98


def _accuracy_by_simulation():
    probabilities, labels, _ = _videos(np.random.default_rng(12), videos=100_000, frames=2)
    return ((probabilities > 0.62) == labels).mean()


def test_frames_of_one_video_move_together():
    probabilities, labels, videos = _videos(np.random.default_rng(3))
    whole = _accuracy(probabilities, labels, videos, video_draws(np.arange(40) % 2, 500, seed=0), np.arange(40) % 2)
    rows = np.arange(len(labels))
    naive = _accuracy(probabilities, labels, rows, video_draws(labels, 500, seed=0), labels)
    width = [found.interval()["high"] - found.interval()["low"] for found in (whole, naive)]
    assert whole.value == naive.value
    assert width[0] > 1.8 * width[1]


def _compared(better, *, seed=0):
    random = np.random.default_rng(5)
    probabilities, labels, videos = _videos(random)
    other = np.clip(probabilities + better * (2 * labels - 1) + random.normal(0, 0.02, len(labels)), 0, 1)
    draws = video_draws(np.arange(40) % 2, 500, seed=seed)
    pair = [
        resampled(lambda w, p=p: weighted_figures(p, labels, w, columns=videos), draws, np.arange(40) % 2)["auroc"]
        for p in (other, probabilities)
    ]
    return pair[0].minus(pair[1]), pair


def test_a_paired_difference_is_narrower_than_two_intervals_apart():
    difference, pair = _compared(0.1)
    told = difference.difference()
    assert told["value"] == pytest.approx(pair[0].value - pair[1].value)
    assert told["low"] > 0
    assert told["p"] == pytest.approx(2 / 501)
    lows_and_highs = [found.interval() for found in pair]
    assert lows_and_highs[0]["low"] < lows_and_highs[1]["high"]  # apart, they would not tell


def test_no_difference_is_told_as_none():
    assert _compared(0.0)[0].difference()["p"] > 0.1
    same = Resampled(0.8, np.linspace(0.7, 0.9, 50)).minus(Resampled(0.8, np.linspace(0.7, 0.9, 50)))
    assert same.difference() == {"value": 0, "low": 0, "high": 0, "p": 1.0}


def test_a_single_video_of_a_class_gives_no_interval():
    labels = np.array([0, 1, 1])
    found = resampled(
        lambda weights: ranked_figures(np.array([0.1, 0.9, 0.8]), labels, weights),
        video_draws(labels, 20, seed=0),
        labels,
    )
    assert found["auroc"].interval() == {"value": 1.0, "low": None, "high": None}
    assert found["auroc"].minus(found["auroc"]).difference()["p"] is None


def test_an_average_over_data_sets_is_steadier_than_each():
    random = np.random.default_rng(0)
    parts = [Resampled(0.8, random.normal(0.8, 0.05, 2000)) for _ in range(4)]
    mean = average(parts).interval()
    assert mean["value"] == pytest.approx(0.8)
    assert mean["high"] - mean["low"] == pytest.approx(0.05 * 1.96, rel=0.1)  # half of 4 × 0.05 × 0.98


def test_no_resamples_are_refused():
    with pytest.raises(UserError, match="resamples=0"):
        video_draws(np.array([0, 1]), 0, seed=0)
