"""One dictionary holds every number, and each is what its own module says."""

import json

import numpy as np
import pytest
import torch

from addnet.errors import UserError
from addnet.evaluation import binary_metrics
from addnet.evaluation.assessment import assess
from addnet.evaluation.decision import LEVELS
from addnet.evaluation.groups import FEWEST_VIDEOS
from addnet.evaluation.levels import brief_metrics
from addnet.evaluation.scored import by_video
from addnet.evaluation.weighted import saying
from drawn_scores import DECISION, METHODS, drawn_scores


@pytest.fixture(scope="module")
def two():
    """Two checkpoints on two data sets and one of real images only."""
    names = [("a", None), ("b", None), ("real only", 0)]
    return {
        checkpoint: {name: drawn_scores(name, skill=skill, seed=3 + len(name), labels=only) for name, only in names}
        for checkpoint, skill in (("plain", 0.6), ("better", 1.6))
    }


@pytest.fixture(scope="module")
def evaluation(two):
    return assess(two, {"plain": DECISION, "better": None}, resamples=100)


def test_plain_values_are_those_of_a_training_run(two, evaluation):
    rows = two["plain"]["a"]
    for level, scored in (("frame", rows), ("video", by_video(rows))):
        found = evaluation["checkpoints"]["plain"]["sets"]["a"]["levels"][level]
        expected = binary_metrics(torch.from_numpy(scored.probabilities), torch.from_numpy(scored.labels))
        told = found["metrics"] | found["called"]["half"]["metrics"]
        assert {name: told[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_intervals_hold_their_value_and_json_takes_all(evaluation):
    levels = evaluation["checkpoints"]["plain"]["sets"]["a"]["levels"]
    assert list(levels) == list(LEVELS)
    for level in levels.values():
        for name in ("auroc", "ap", "log_loss", "log_loss_calibrated"):
            assert level["metrics"][name]["low"] <= level["metrics"][name]["value"] <= level["metrics"][name]["high"]
    assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation


def test_the_calibration_error_has_a_value_and_no_interval(two, evaluation):
    rows = two["plain"]["a"]
    plain = saying(rows.probabilities, rows.labels)(np.ones((1, len(rows))))["ece"][0]
    told = evaluation["checkpoints"]["plain"]["sets"]["a"]["levels"]["frame"]["metrics"]
    assert told["ece"] == {"value": pytest.approx(plain), "low": None, "high": None}
    assert told["ece_calibrated"]["low"] is None
    average = evaluation["checkpoints"]["plain"]["average"]["video"]["ece"]
    apart = evaluation["differences"]["better"]["sets"]["a"]["video"]["ece"]
    for found in (average, apart, brief_metrics(rows)["frame/ece"]):
        assert found["value"] is not None
        assert found["low"] is found["high"] is None
    assert apart["p"] is None


def test_thresholds_are_stated_with_what_they_give(two, evaluation):
    called = evaluation["checkpoints"]["plain"]["sets"]["a"]["levels"]["frame"]["called"]
    rows = two["plain"]["a"]
    assert called["chosen"]["threshold"] == 0.4
    right = ((rows.probabilities > 0.4) == rows.labels).mean()
    assert called["chosen"]["metrics"]["accuracy"]["value"] == pytest.approx(right)
    (tn, fp), (fn, tp) = called["chosen"]["confusion"]
    assert (tn + tp) / len(rows) == pytest.approx(right)
    assert fp + tp == (rows.probabilities > 0.4).sum()
    assert fn + tp == rows.labels.sum()
    decisions = evaluation["checkpoints"]
    assert decisions["plain"]["decision"]["video_max"]["stated"] == "0.4500, from validation, chosen for the mean"
    assert decisions["better"]["decision"]["frame"]["stated"] == "0.5, no threshold in the checkpoint"
    assert decisions["better"]["sets"]["a"]["levels"]["frame"]["metrics"]["ece_calibrated"]["value"] is None


def test_averages_leave_out_sets_without_the_plot(evaluation):
    for level in LEVELS:
        row = evaluation["cross_dataset"][level]["auroc"]["better"]
        values = [found["value"] for found in row["sets"].values()]
        assert values[2] is None
        assert row["average"]["value"] == pytest.approx(np.mean(values[:2]))
        assert row["average"]["over"] == 2


def _methods(evaluation):
    found = evaluation["checkpoints"]["plain"]["sets"]["a"]["groups"]["frame"]["method"]
    return {group["name"]: group for group in found}


def test_few_videos_of_a_method_are_counted_and_no_more(evaluation):
    found = _methods(evaluation)[METHODS[0]]
    assert 0 < found["videos"] < FEWEST_VIDEOS
    assert found["auroc"]["value"] is found["accuracy"]["value"] is None
    errors = found["errors"]["fake_called_real"]
    assert errors["value"] is errors["low"] is None
    assert errors["of"] == found["rows"]


def test_a_method_is_held_against_all_real_rows(two, monkeypatch):
    monkeypatch.setattr("addnet.evaluation.groups.FEWEST_VIDEOS", 1)
    rows = two["plain"]["a"]
    groups = _methods(assess({"plain": {"a": rows}}, {"plain": DECISION}, resamples=20))
    assert set(groups) == {"", *METHODS}
    for method in METHODS:
        mine = np.array(rows.groups["method"]) == method
        kept = mine | (rows.labels == 0)
        expected = binary_metrics(torch.from_numpy(rows.probabilities[kept]), torch.from_numpy(rows.labels[kept]))
        assert groups[method]["auroc"]["value"] == pytest.approx(expected["auroc"], abs=1e-6)
        assert groups[method]["accuracy"]["value"] == pytest.approx((rows.probabilities[mine] > 0.4).mean())
        assert groups[method]["rows"] == mine.sum()
    assert groups[""]["auroc"]["value"] is None


def test_groups_are_in_the_order_of_their_numbers(evaluation):
    by_level = evaluation["checkpoints"]["plain"]["sets"]["a"]["groups"]
    assert [group["name"] for group in by_level["frame"]["size"]] == ["64", "128"]
    assert list(by_level["video"]) == ["method"]  # images of a video have different sizes


def test_differences_are_to_the_first_checkpoint(evaluation):
    found = evaluation["differences"]["better"]
    assert found["reference"] == "plain"
    sets = {name: evaluation["checkpoints"][name]["sets"]["a"]["levels"] for name in ("plain", "better")}
    for level in LEVELS:
        told = found["sets"]["a"][level]["auroc"]
        values = [sets[name][level]["metrics"]["auroc"]["value"] for name in ("better", "plain")]
        assert told["value"] == pytest.approx(values[0] - values[1])
    assert found["average"]["frame"]["auroc"]["low"] > 0
    assert found["average"]["frame"]["auroc"]["p"] < 0.05


def test_other_rows_are_not_compared(two):
    other = {"plain": {"a": two["plain"]["a"]}, "other": {"a": drawn_scores("a", videos=20)}}
    found = assess(other, {}, resamples=5)["differences"]["other"]
    assert found["not_the_same_rows"] == ["a"]
    assert found["sets"] == {}


def test_the_same_seed_gives_the_same_numbers(two, evaluation):
    again = assess(two, {"plain": DECISION, "better": None}, resamples=100)
    assert again == evaluation
    assert assess(two, {"plain": DECISION}, resamples=100, seed=1) != evaluation


def test_brief_metrics_are_those_of_the_whole(two, evaluation):
    brief = brief_metrics(two["plain"]["a"], DECISION, resamples=100)
    levels = evaluation["checkpoints"]["plain"]["sets"]["a"]["levels"]
    assert brief["frame/auroc"] == levels["frame"]["metrics"]["auroc"]
    assert brief["video/accuracy"] == levels["video"]["called"]["chosen"]["metrics"]["accuracy"]


def test_nothing_and_wrong_thresholds_are_refused(two):
    with pytest.raises(UserError, match="nothing to evaluate"):
        assess({}, {})
    with pytest.raises(UserError, match=r"threshold for frame is 1\.5"):
        assess(two, {"plain": {"frame": {"threshold": 1.5}}}, resamples=5)
