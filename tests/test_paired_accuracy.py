"""Paired accuracy: a fake against the real of its own source, with whole sources behind every interval."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from addnet.errors import UserError
from addnet.evaluation.assessment import assess
from addnet.evaluation.decision import Decision
from addnet.evaluation.levels import ResampledSet, draws_of_test
from addnet.evaluation.metrics import Scores
from addnet.evaluation.metrics import by_video as tensors_by_video
from addnet.evaluation.paired import PAIRED, pair_counts, paired_metrics, shares_of
from addnet.evaluation.report import write_report
from addnet.evaluation.scored import ScoredSet, by_video
from drawn_scores import drawn_scores


def _with_sources(scored, per_source=4):
    """Videos 0 to 3 are of one source, two real and two fake ones, and so on."""
    sources = [f"source {video // per_source}" for video in range(len(scored.video_ids))]
    return dataclasses.replace(scored, sources=sources)


def _one_to_one(scores):
    """(G, 2) scores of a real and a fake a source, images that are videos of their own."""
    names = [f"p{number}" for number in range(scores.size)]
    labels, videos = np.tile([0, 1], len(scores)), np.arange(scores.size)
    return ScoredSet("pairs", scores.ravel(), labels, videos, names, names, sources=[f"s{i // 2}" for i in videos])


def _by_double_loop(scored):
    of_rows = [scored.sources[video] for video in scored.videos]
    shares, pairs = [], []
    for source in sorted(set(of_rows)):
        here = [row for row, other in enumerate(of_rows) if other == source]
        reals, fakes = ([row for row in here if scored.labels[row] == label] for label in (0, 1))
        p = scored.probabilities
        right = [(p[fake] > p[real]) + 0.5 * (p[fake] == p[real]) for real in reals for fake in fakes]
        if right:
            shares.append(np.mean(right))
            pairs.append(len(right))
    return shares, pairs


@pytest.mark.parametrize("decimals", [16, 1, 0], ids=["all different", "many ties", "nothing but ties"])
@pytest.mark.parametrize("per_source", [1, 3, 4, 30])
def test_it_is_what_a_double_loop_counts(decimals, per_source):
    scored = drawn_scores(videos=30, skill=0.4)
    scored = dataclasses.replace(scored, probabilities=scored.probabilities.round(decimals))
    scored = _with_sources(scored, per_source)
    for rows in (scored, by_video(scored)):
        shares, pairs = shares_of(rows)
        expected = _by_double_loop(rows)
        np.testing.assert_allclose(shares, expected[0])
        assert pairs.tolist() == expected[1]


def test_of_pairs_one_to_one_it_is_the_share_that_is_right():
    scores = np.random.default_rng(0).random((500, 2))
    found = ResampledSet.of(_one_to_one(scores), resamples=10, seed=0).metrics(Decision())[PAIRED]
    assert found.value == pytest.approx((scores[:, 1] > scores[:, 0]).mean())


def test_a_source_counts_once_however_many_frames_it_has():
    scored = _with_sources(drawn_scores(videos=8), 4)
    kept = np.flatnonzero(
        (scored.videos >= 4) | (np.arange(len(scored)) % 6 == 0)
    )  # one frame of each video of source 0
    few = dataclasses.replace(
        scored,
        probabilities=scored.probabilities[kept],
        labels=scored.labels[kept],
        videos=scored.videos[kept],
        paths=[scored.paths[row] for row in kept],
        groups={},
    )
    (first, second), pairs = shares_of(few)
    assert pairs.tolist() == [4, 144]
    value = ResampledSet.of(few, resamples=2, seed=0).metrics(Decision())[PAIRED].value
    assert value == pytest.approx((first + second) / 2)


@pytest.mark.slow
@pytest.mark.parametrize("chance", [0.7, 0.97])
def test_intervals_cover_the_truth_about_as_often_as_they_say(chance):
    random, hits = np.random.default_rng(5), 0
    for _ in range(300):
        fakes = np.where(random.random(40) < chance, 0.9, 0.1)
        pairs = _one_to_one(np.stack([np.full(40, 0.5), fakes], axis=1))
        told = ResampledSet.of(pairs, resamples=200, seed=0).metrics(Decision())[PAIRED].interval()
        hits += told["low"] <= chance <= told["high"]
    assert 0.91 <= hits / 300 <= 0.99


def test_sources_are_drawn_whole():
    random = np.random.default_rng(2)
    right = np.repeat(random.random(20) < 0.7, 50)  # fifty pairs of a source are all right or all wrong
    scores = np.stack([np.full(1000, 0.5), np.where(right, 0.9, 0.1)], axis=1)
    alike = _one_to_one(scores)
    alike = dataclasses.replace(alike, sources=[f"s{video // 100}" for video in range(2000)])
    width = [
        np.ptp([found.interval()[end] for end in ("low", "high")])
        for scored in (alike, _one_to_one(scores))
        for found in [ResampledSet.of(scored, resamples=100, seed=0).metrics(Decision())[PAIRED]]
    ]
    assert width[0] > 5 * width[1]


def test_checkpoints_are_compared_over_the_same_sources():
    rows = {name: {"a": _with_sources(drawn_scores("a", skill=skill))} for name, skill in (("one", 0.3), ("two", 1.5))}
    evaluation = assess(rows, {}, resamples=200)
    told = evaluation["differences"]["two"]["sets"]["a"]["frame"]["paired_accuracy"]
    levels = [evaluation["checkpoints"][name]["sets"]["a"]["levels"]["frame"]["metrics"] for name in ("two", "one")]
    assert told["value"] == pytest.approx(levels[0]["paired_accuracy"]["value"] - levels[1]["paired_accuracy"]["value"])
    assert told["low"] <= told["value"] <= told["high"]
    assert told["p"] is not None


def test_a_training_s_own_test_has_it_and_its_draws():
    scored = _with_sources(drawn_scores(videos=24, skill=0.2))
    sources = np.array([int(name.split()[1]) for name in scored.sources])
    parts = (scored.probabilities, scored.labels, scored.videos, np.ones(len(scored), bool), sources[scored.videos])
    scores = Scores(*map(torch.from_numpy, parts))
    draws = draws_of_test(scores, resamples=20)
    for level, rows, tensors in (("frame", scored, scores), ("video", by_video(scored), tensors_by_video(scores))):
        value = paired_metrics(tensors)["paired_accuracy"]
        assert value == pytest.approx(shares_of(rows)[0].mean())
        assert draws[f"test/{level}/paired_accuracy"].std() > 0
    unknown = scores._replace(sources=None)
    assert paired_metrics(unknown) == {}
    assert "test/frame/paired_accuracy" not in draws_of_test(unknown, resamples=2)


def test_reports_show_it_or_say_why_not(tmp_path):
    few = drawn_scores("a", videos=8, frames=1)
    sets = {
        "with": _with_sources(few),
        "none with both": dataclasses.replace(few, sources=few.video_ids),
        "unknown": few,
    }
    scored = {"one": {name: dataclasses.replace(rows, name=name) for name, rows in sets.items()}}
    evaluation = assess(scored, {}, resamples=5)
    page, text, numbers = write_report(tmp_path, evaluation, scored, robustness={}, mistakes=[], about={})
    told = evaluation["checkpoints"]["one"]["sets"]
    assert told["with"]["pairs"] == {"sources": 2, "with_both": 2, "pairs": 8, "why_not": ""}
    value = told["with"]["levels"]["frame"]["metrics"]["paired_accuracy"]["value"]
    assert f'"value": {value}' in numbers.read_text()
    for shown in (page.read_text(), text.read_text()):
        assert "from 2 sources with real and fake images, of 2: 8 pairs" in shown
        assert "no source (group) has both real and fake images" in re.sub(r"\\", "", shown)
        assert "it is not known which images share a source" in shown
    assert told["none with both"]["levels"]["frame"]["metrics"]["paired_accuracy"]["value"] is None


def test_a_single_source_has_no_interval_and_sources_are_one_a_video():
    one = _with_sources(drawn_scores(videos=4))
    told = ResampledSet.of(one, resamples=5, seed=0).metrics(Decision())[PAIRED].interval()
    assert told["value"] is not None
    assert told["low"] is told["high"] is None
    assert pair_counts(drawn_scores())["sources"] is None
    with pytest.raises(UserError, match="2 sources for 4 videos"):
        dataclasses.replace(one, sources=["a", "b"])
