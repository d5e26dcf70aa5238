"""Metrics of weighted rows agree with scikit-learn, and without weights with those of a training run."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from addnet.evaluation.calibration import reliability
from addnet.evaluation.metrics import binary_metrics
from addnet.evaluation.table import LOGGED, TABLE
from addnet.evaluation.weighted import weighted_metrics

EXACT = 1e-9


def _rows(seed, rows=300, decimals=2):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    probabilities = np.clip(random.normal(0.4 + 0.2 * labels, 0.25).round(decimals), 0.001, 0.999)
    weights = random.random((4, rows)) * (random.random((4, rows)) < 0.8)  # a fifth of them 0
    return probabilities, labels, weights


@pytest.fixture(params=[(seed, decimals) for seed in range(3) for decimals in (1, 2, 12)], ids=str)
def rows(request):
    """With many ties (one decimal), some, and none."""
    seed, decimals = request.param
    return _rows(seed, decimals=decimals)


def _sklearn(probabilities, labels, weights, threshold):
    called = probabilities > threshold
    given = {"sample_weight": weights}
    fpr, tpr, _ = sk.roc_curve(labels, probabilities, drop_intermediate=False, **given)
    return {
        "auroc": sk.roc_auc_score(labels, probabilities, **given),
        "ap": sk.average_precision_score(labels, probabilities, **given),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, called, **given),
        "accuracy": sk.accuracy_score(labels, called, **given),
        "f1": sk.f1_score(labels, called, **given),
        "log_loss": sk.log_loss(labels, probabilities, **given),
        "tpr_at_1_fpr": tpr[fpr <= 0.01].max(),
        "tpr_at_5_fpr": tpr[fpr <= 0.05].max(),
    }


def test_each_metric_is_that_of_scikit_learn(rows):
    probabilities, labels, weights = rows
    metrics = weighted_metrics(probabilities, labels, weights, threshold=0.43)
    for line, drawn in enumerate(weights):
        expected = _sklearn(probabilities, labels, drawn, 0.43)
        assert {name: metrics[name][line] for name in expected} == pytest.approx(expected, abs=EXACT)


def test_the_eer_is_where_both_rates_meet_exactly(rows):
    probabilities, labels, weights = rows
    eer = weighted_metrics(probabilities, labels, weights)["eer"]
    for line, drawn in enumerate(weights):
        fpr, tpr, _ = sk.roc_curve(labels, probabilities, sample_weight=drawn, drop_intermediate=False)
        share = np.interp(0, fpr + tpr - 1, np.arange(len(fpr)))  # along the curve
        assert eer[line] == pytest.approx(np.interp(share, np.arange(len(fpr)), fpr), abs=EXACT)
        assert eer[line] == pytest.approx(1 - np.interp(share, np.arange(len(fpr)), tpr), abs=EXACT)


def test_what_a_training_logs_is_that_of_scikit_learn(rows):
    probabilities, labels, _ = rows
    logged = binary_metrics(torch.from_numpy(probabilities), torch.from_numpy(labels))
    expected = _sklearn(probabilities, labels, np.ones(len(labels)), 0.5)
    assert logged.keys() == set(LOGGED)
    for name in LOGGED:
        if name != "eer":
            assert logged[name] == pytest.approx(expected[name], abs=EXACT), name
    assert logged["eer"] == weighted_metrics(probabilities, labels, np.ones((1, len(labels))))["eer"][0]


def test_whole_weights_are_repeated_rows(rows):
    probabilities, labels, _ = rows
    times = np.random.default_rng(1).integers(0, 4, len(labels))
    weighted = weighted_metrics(probabilities, labels, times[None])
    repeated = np.repeat(probabilities, times), np.repeat(labels, times)
    plain = weighted_metrics(*repeated, np.ones((1, times.sum())))
    assert {name: weighted[name][0] for name in TABLE} == pytest.approx(
        {name: plain[name][0] for name in TABLE}, abs=EXACT
    )


def test_rows_of_a_video_share_its_weight(rows):
    probabilities, labels, _ = rows
    videos = np.random.default_rng(2).integers(0, 40, len(labels))
    drawn = np.random.default_rng(3).integers(0, 3, (5, 40)).astype(np.uint16)
    shared = weighted_metrics(probabilities, labels, drawn, columns=videos)
    spread = weighted_metrics(probabilities, labels, drawn[:, videos])
    for name in TABLE:
        np.testing.assert_allclose(shared[name], spread[name], atol=EXACT)


def test_calibration_error_is_the_mean_gap_of_the_bins(rows):
    probabilities, labels, _ = rows
    bins = reliability(probabilities, labels)
    filled = bins.counts > 0
    gaps = np.abs(bins.said - bins.true)[filled]
    expected = np.average(gaps, weights=bins.counts[filled])
    ones = np.ones((1, len(labels)))
    assert weighted_metrics(probabilities, labels, ones)["ece"][0] == pytest.approx(expected, abs=EXACT)
    certain = weighted_metrics(labels.astype(float), labels, ones)
    assert certain["ece"][0] == 0


def test_a_false_positive_rate_of_exactly_one_percent_counts():
    labels = np.concatenate([np.zeros(300, int), np.ones(2, int)])
    probabilities = np.full(302, 0.1)
    probabilities[:3], probabilities[300:] = 0.9, (0.89, 0.95)
    ones = np.ones((1, 302))
    assert weighted_metrics(probabilities, labels, ones)["tpr_at_1_fpr"][0] == 1.0  # 3 of 300
    probabilities[3] = 0.9
    assert weighted_metrics(probabilities, labels, ones)["tpr_at_1_fpr"][0] == 0.5  # and nothing in between


def test_many_lines_come_out_as_one_by_one(monkeypatch):
    probabilities, labels, weights = _rows(4)
    whole = weighted_metrics(probabilities, labels, weights)
    for module in ("ranking", "weighted"):
        monkeypatch.setattr(f"addnet.evaluation.{module}._AT_ONCE", 1)
    for name, values in weighted_metrics(probabilities, labels, weights).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12)


def test_what_means_nothing_is_nan():
    one_class = weighted_metrics(np.array([0.2, 0.7]), np.array([1, 1]), np.ones((2, 2)))
    assert np.isnan([one_class[name] for name in ("auroc", "ap", "eer", "tpr_at_1_fpr", "tpr_at_5_fpr")]).all()
    assert one_class["accuracy"].tolist() == [0.5, 0.5]
    assert np.isnan(one_class["balanced_accuracy"]).all()
    only_real = weighted_metrics(np.array([0.2, 0.7]), np.array([0, 0]), np.ones((2, 2)))
    assert np.isnan([only_real[name] for name in ("f1", "balanced_accuracy")]).all()
    nothing = weighted_metrics(np.zeros(0), np.zeros(0, int), np.ones((3, 0)))
    assert all(np.isnan(values).all() and values.shape == (3,) for values in nothing.values())
    lines = weighted_metrics(np.array([0.2, 0.7]), np.array([0, 1]), np.array([[1, 1], [1, 0], [0, 0]]))
    assert np.isnan(lines["auroc"]).tolist() == [False, True, True]
    assert np.isnan(lines["accuracy"]).tolist() == [False, False, True]
