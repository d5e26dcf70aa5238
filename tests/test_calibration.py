"""Thresholds and temperatures are the best there are, and come out the same each time."""

import numpy as np
import pytest

from addnet.errors import UserError
from addnet.evaluation.calibration import (
    calibrate,
    calibrated,
    choose_thresholds,
    fit_temperature,
    reliability,
    supported,
)


def _scores(seed=0, rows=400):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    return np.clip(random.normal(0.45 + 0.2 * labels, 0.2).round(2), 0.001, 0.999), labels


def _threshold(probabilities, labels, **bounds):
    """The only one, where at most one error is bounded."""
    real_up_to, fake_above = choose_thresholds(probabilities, labels, **bounds)
    assert real_up_to == fake_above
    return fake_above


def _balanced_accuracy(probabilities, labels, threshold):
    called = probabilities > threshold
    return (called[labels == 1].mean() + (~called[labels == 0]).mean()) / 2


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better(seed):
    probabilities, labels = _scores(seed)
    chosen = _balanced_accuracy(probabilities, labels, _threshold(probabilities, labels))
    assert chosen >= max(_balanced_accuracy(probabilities, labels, t) for t in np.linspace(-0.001, 1, 1002))


@pytest.mark.parametrize("max_fpr", [0.0, 0.05, 0.2])
def test_no_threshold_of_so_few_reals_called_fake_is_better(max_fpr):
    probabilities, labels = _scores(0)

    def called(threshold):
        return (probabilities[labels == 0] > threshold).mean()

    chosen = _threshold(probabilities, labels, max_fpr=max_fpr)
    allowed = [t for t in np.linspace(0, 1, 1001) if called(t) <= max_fpr]
    assert called(chosen) <= max_fpr < called(_threshold(probabilities, labels))
    accuracy = _balanced_accuracy(probabilities, labels, chosen)
    assert accuracy >= max(_balanced_accuracy(probabilities, labels, t) for t in allowed)


@pytest.mark.parametrize(("max_fpr", "max_fnr"), [(0.01, 0.05), (0.0, 0.0), (0.1, 0.02), (0.3, 0.4)])
def test_two_bounds_leave_as_little_undecided_as_they_can(max_fpr, max_fnr):
    probabilities, labels = _scores(0)
    reals, fakes = probabilities[labels == 0], probabilities[labels == 1]
    real_up_to, fake_above = choose_thresholds(probabilities, labels, max_fpr=max_fpr, max_fnr=max_fnr)
    every = np.unique(np.concatenate([probabilities - 1e-9, probabilities + 1e-9]))
    accused = np.array([(reals > t).mean() <= max_fpr for t in every])
    missed = np.array([(fakes <= t).mean() <= max_fnr for t in every])
    assert (reals > fake_above).mean() <= max_fpr
    assert (fakes <= real_up_to).mean() <= max_fnr
    if (accused & missed).any():  # the loosest pair
        assert real_up_to == fake_above
    else:
        assert not accused[every < fake_above - 0.01].any()
        assert not missed[every > real_up_to + 0.01].any()


def test_a_fake_at_0_leaves_nothing_to_be_called_real():
    real_up_to, fake_above = choose_thresholds(np.array([0.0, 0.9, 1.0]), np.array([1, 0, 1]), max_fpr=0, max_fnr=0)
    assert real_up_to < 0
    assert 0.9 < fake_above < 1


def test_of_equally_good_thresholds_the_one_nearest_a_half_is_taken():
    probabilities, labels = np.array([0.1, 0.2, 0.44, 0.5, 0.9]), np.array([0, 1, 0, 1, 1])
    assert _balanced_accuracy(probabilities, labels, 0.15) < _balanced_accuracy(probabilities, labels, 0.47)
    assert _threshold(probabilities, labels) == pytest.approx(0.47)
    even = np.array([0.1, 0.2, 0.8, 0.95]), np.array([0, 1, 0, 1])  # 0.15 and 0.875 are equally good
    assert _threshold(*even) == pytest.approx(0.15)


def test_a_threshold_lies_between_scores_even_where_no_number_does():
    low = 0.7
    high = np.nextafter(low, 1)
    threshold = _threshold(np.array([low, high]), np.array([0, 1]))
    assert (np.array([low, high]) > threshold).tolist() == [False, True]


@pytest.mark.parametrize(
    ("probabilities", "labels", "threshold"),
    [
        ([0.0, 1.0], [1, 0], 1.0),  # the other way round: one mistake instead of two
        ([0.5, 0.5, 0.5], [0, 1, 1], 0.5),
        ([0.7, 0.7], [0, 1], 0.5),
        ([0.2, 0.8], [1, 0], 0.9),  # all fake or all real: the one that accuses nobody
        ([1.0, 1.0, 0.0], [0, 1, 0], 0.5),
        ([0.0, 0.0, 1.0], [0, 1, 1], 0.5),
        ([0.0, 1.0], [0, 1], 0.5),
    ],
)
def test_the_threshold_of_scores_that_say_little_is_the_best_there_is(probabilities, labels, threshold):
    probabilities, labels = np.array(probabilities), np.array(labels)
    found = _threshold(probabilities, labels)
    assert found == pytest.approx(threshold)
    every = [_balanced_accuracy(probabilities, labels, at) for at in np.linspace(0, 1, 101)]
    assert _balanced_accuracy(probabilities, labels, found) == max(every)


def _videos_with_errors(errors, *, videos=40, frames=4):
    """Scores of 0.9 and 0.1 on the right side, but for one frame of some videos."""
    labels = np.arange(videos) % 2
    scores = np.repeat(np.where(labels == 1, 0.9, 0.1), frames)
    wrong = np.arange(errors) * frames
    scores[wrong] = 1 - scores[wrong]
    return scores, np.repeat(labels, frames), np.repeat(np.arange(videos), frames)


def test_a_temperature_needs_errors_of_several_videos():
    assert calibrate(*_videos_with_errors(0)) == (1.0, "not calibrated: validation has no errors to learn from")
    assert calibrate(*_videos_with_errors(1))[1].startswith("not calibrated: validation has errors of 1 video to learn")
    assert calibrate(*_videos_with_errors(4))[0] == 1.0
    temperature, told = calibrate(*_videos_with_errors(5))
    assert told == "calibrated on validation"
    assert 0.05 < temperature < 20
    scores, labels, videos = _videos_with_errors(0)
    scores[:8] = 1 - scores[:8]  # eight frames, but of two videos
    assert calibrate(scores, labels, videos)[0] == 1.0
    assert calibrate(1 - scores, labels, videos)[1] == "not calibrated: no temperature fits the scores of validation"


def test_probabilities_are_as_extreme_as_the_rule_of_succession_allows():
    assert supported(0, 0) == (0.5, 0.5)
    assert supported(18, 38) == (0.05, 0.975)


def test_one_class_leaves_threshold_and_temperature_alone():
    for labels in (np.ones(3, int), np.zeros(3, int)):
        assert _threshold(np.array([0.7, 0.8, 0.9]), labels) == 0.5
        assert fit_temperature(np.array([0.7, 0.8, 0.9]), labels) == 1.0
    assert _threshold(np.zeros(0), np.zeros(0, int)) == 0.5
    assert fit_temperature(np.zeros(0), np.zeros(0, int)) == 1.0


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_scores_is_found(truth):
    random = np.random.default_rng(5)
    logits = random.normal(0, 2, 60_000)
    labels = (random.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(int)
    spoilt = 1 / (1 + np.exp(-logits * truth))
    found = fit_temperature(spoilt, labels)
    assert found == pytest.approx(truth, rel=0.03)
    assert fit_temperature(spoilt, labels) == found


def test_no_temperature_has_a_smaller_log_loss():
    probabilities, labels = _scores()

    def loss(temperature):
        said = calibrated(probabilities, temperature)
        return -np.log(np.where(labels == 1, said, 1 - said).clip(1e-300)).mean()

    found = fit_temperature(probabilities, labels)
    assert loss(found) <= min(loss(t) for t in np.geomspace(0.05, 20, 500))


def test_temperatures_are_bounded_where_there_is_no_best_one():
    right = np.array([0.2, 0.9]), np.array([0, 1])
    assert fit_temperature(*right) == pytest.approx(0.05)
    assert fit_temperature(right[0], 1 - right[1]) == pytest.approx(20.0)


def test_calibration_keeps_order_and_extremes_finite():
    probabilities = np.array([0.0, 1e-9, 0.3, 0.5, 1.0])
    np.testing.assert_allclose(calibrated(probabilities, 1.0), probabilities, atol=2e-15)
    assert (np.diff(calibrated(probabilities, 7.0)) > 0).all()


def test_bins_hold_means_and_empty_ones_are_nan():
    found = reliability(np.array([0.0, 0.1, 0.95, 1.0]), np.array([0, 1, 1, 1]), bins=2)
    assert found.counts.tolist() == [2, 2]
    np.testing.assert_allclose(found.said, [0.05, 0.975])
    np.testing.assert_allclose(found.true, [0.5, 1.0])
    assert np.isnan(reliability(np.array([0.9]), np.array([1]), bins=2).said[0])


@pytest.mark.parametrize(
    ("probabilities", "labels", "told"),
    [
        ([0.2, np.nan], [0, 1], "finite"),
        ([0.2, 1.5], [0, 1], "1.5"),
        ([0.2, 0.3], [0, -1], "-1"),
        ([0.2], [0, 1], "shape"),
    ],
)
def test_what_is_no_score_is_refused(probabilities, labels, told):
    for function in (choose_thresholds, fit_temperature):
        with pytest.raises(UserError, match=told):
            function(np.array(probabilities), np.array(labels))
    with pytest.raises(UserError, match="temperature=0"):
        calibrated(np.array([0.5]), 0)
