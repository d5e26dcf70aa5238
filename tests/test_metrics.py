"""Metrics agree with their definitions, computed here the slow way."""

import itertools

import numpy as np
import pytest
import torch

from addnet.evaluation import Scores, binary_metrics, by_video, classification_report, confusion_matrix
from addnet.training.scores import ScoreCollector, WeightedMean


@pytest.fixture(params=range(4))
def scored(request):
    random = np.random.default_rng(request.param)
    labels = random.integers(0, 2, 80)
    probabilities = np.clip(random.normal(0.35 + 0.3 * labels, 0.25), 0, 1).round(2)  # with ties
    return torch.from_numpy(probabilities), torch.from_numpy(labels)


def _pairs(probabilities, labels):
    real, fake = probabilities[labels == 0], probabilities[labels == 1]
    return [(float(r), float(f)) for r, f in itertools.product(real, fake)]


def test_auroc_is_the_share_of_pairs_in_order(scored):
    pairs = _pairs(*scored)
    share = sum((f > r) + 0.5 * (f == r) for r, f in pairs) / len(pairs)
    assert binary_metrics(*scored)["auroc"] == pytest.approx(share, abs=1e-6)


def test_ap_is_the_mean_precision_over_recall_steps(scored):
    probabilities, labels = (part.numpy() for part in scored)
    total, ap = labels.sum(), 0.0
    for threshold in sorted(set(probabilities), reverse=True):
        called = probabilities >= threshold
        gained = labels[probabilities == threshold].sum() / total
        ap += gained * labels[called].mean()
    assert binary_metrics(*scored)["ap"] == pytest.approx(ap, abs=1e-6)


def test_eer_is_where_both_error_rates_meet(scored):
    eer = binary_metrics(*scored)["eer"]
    fpr, fnr = [], []
    for threshold in np.concatenate([[2.0], np.unique(scored[0])[::-1]]):
        called = (scored[0] >= threshold).numpy()
        fpr.append(called[scored[1].numpy() == 0].mean())
        fnr.append(1 - called[scored[1].numpy() == 1].mean())
    steps = np.linspace(0, len(fpr) - 1, 200_001)
    dense_fpr, dense_fnr = (np.interp(steps, range(len(fpr)), rate) for rate in (fpr, fnr))
    closest = np.abs(dense_fpr - dense_fnr).argmin()
    assert eer == pytest.approx(dense_fpr[closest], abs=1e-4)


def test_thresholded_metrics(scored):
    probabilities, labels = (part.numpy() for part in scored)
    called = probabilities > 0.5
    metrics = binary_metrics(*scored)
    assert metrics["accuracy"] == pytest.approx((called == labels).mean())
    recalls = [(called[labels == label] == label).mean() for label in (0, 1)]
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    hits = (called & (labels == 1)).sum()
    assert metrics["f1"] == pytest.approx(2 * hits / (called.sum() + labels.sum()), abs=1e-6)
    ((tn, fp), (fn, tp)) = confusion_matrix(*scored)
    assert (tp, tp + fp, tp + fn, tn + fp) == (hits, called.sum(), labels.sum(), (labels == 0).sum())


def test_log_loss_stays_finite_for_sure_mistakes():
    metrics = binary_metrics(torch.tensor([1.0, 0.0, 0.9]), torch.tensor([0, 1, 1]))
    assert 10 < metrics["log_loss"] < 50


def test_one_class_alone_has_no_ranking():
    metrics = binary_metrics(torch.tensor([0.2, 0.7]), torch.tensor([1, 1]))
    assert np.isnan([metrics[name] for name in ("auroc", "ap", "eer", "balanced_accuracy")]).all()
    assert metrics["accuracy"] == 0.5
    assert np.isnan(list(binary_metrics(torch.zeros(0), torch.zeros(0, dtype=torch.int64)).values())).all()


def test_a_video_is_the_mean_of_its_frames():
    frames = Scores(torch.tensor([0.9, 0.1, 0.8, 0.4]).double(), torch.tensor([1, 0, 1, 1]), torch.tensor([5, 2, 5, 9]))
    videos = by_video(frames)
    assert videos.videos.tolist() == [2, 5, 9]
    assert videos.labels.tolist() == [0, 1, 1]
    np.testing.assert_allclose(videos.probabilities, [0.1, 0.85, 0.4], atol=1e-7)


def test_the_report_matches_its_matrix():
    report = classification_report([[8, 2], [1, 9]], ["real", "fake"])
    assert report["real"]["precision"] == pytest.approx(8 / 9)
    assert report["fake"]["recall"] == pytest.approx(0.9)
    assert report["accuracy"]["f1"] == pytest.approx(17 / 20)
    assert report["macro avg"]["recall"] == pytest.approx(0.85)
    assert report["weighted avg"]["support"] == 20


def test_collected_scores_leave_out_rows_that_do_not_count():
    collector = ScoreCollector()
    logits = torch.tensor([[0.0, 2.0], [3.0, 1.0], [9.0, 9.0]])
    collector.update(logits, torch.tensor([1, 0, 0]), torch.tensor([0, 1, 1]), torch.tensor([True, True, False]), "abc")
    scores = collector.scores()
    np.testing.assert_allclose(scores.probabilities, torch.tensor([2.0, -2.0]).double().sigmoid())
    assert scores.labels.tolist() == [1, 0]
    collector.reset()
    assert len(collector.scores().labels) == 0


def test_means_are_weighted_by_the_rows_that_count():
    mean = WeightedMean()
    mean.update(torch.tensor(1.0), torch.tensor(8))
    mean.update(torch.tensor(3.0), torch.tensor(2))
    assert mean.compute() == pytest.approx(1.4)
    mean.reset()
    mean.update(torch.tensor([True, False, True]), torch.tensor([True, True, False]))
    assert mean.compute() == 0.5
