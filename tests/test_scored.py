"""Scores of a data set are consistent, and a video's score is made of its images with a face."""

import dataclasses

import numpy as np
import pytest
import torch

from addnet.errors import UserError
from addnet.evaluation import Scores
from addnet.evaluation import by_video as tensors_by_video
from addnet.evaluation.scored import ScoredSet, by_video, grouped_alike

FRAMES = ScoredSet(
    "drawn",
    np.array([0.9, 0.1, 0.6, 0.5, 0.5]),
    np.array([1, 0, 1, 1, 1]),
    np.array([1, 0, 1, 2, 2]),
    ["b1", "a1", "b2", "c1", "c2"],
    ["a", "b", "c"],
    {"method": ["swap", "", "swap", "blend", "blend"], "size": ["small", "small", "large", "small", "small"]},
)


def test_each_way_to_a_score_of_a_video():
    confident = (0.8 * 0.9 + 0.2 * 0.6) / (0.8 + 0.2)
    assert by_video(FRAMES).probabilities == pytest.approx([0.1, 0.75, 0.5])
    assert by_video(FRAMES, "max").probabilities == pytest.approx([0.1, 0.9, 0.5])
    assert by_video(FRAMES, "confidence").probabilities == pytest.approx([0.1, confident, 0.5])


def test_the_mean_is_that_of_a_training_run():
    random = np.random.default_rng(0)
    videos = np.concatenate([np.arange(20), random.integers(0, 20, 180)])
    scored = ScoredSet("x", random.random(200), videos % 2, videos, ["p"] * 200, [str(v) for v in range(20)])
    tensors = Scores(*(torch.from_numpy(part) for part in (scored.probabilities, scored.labels, scored.videos)))
    np.testing.assert_allclose(by_video(scored).probabilities, tensors_by_video(tensors).probabilities, atol=1e-12)


def test_frames_without_a_face_have_no_part_in_their_video_as_in_predict():
    scored = dataclasses.replace(FRAMES, faces=np.array([False, True, True, False, False]))
    for how in ("mean", "max", "confidence"):
        assert by_video(scored, how).probabilities == pytest.approx([0.1, 0.6, 0.5])  # c has none: all of its frames
    parts = (scored.probabilities, scored.labels, scored.videos, scored.faces)
    assert tensors_by_video(Scores(*map(torch.from_numpy, parts))).probabilities.tolist() == [0.1, 0.6, 0.5]
    with pytest.raises(UserError, match="1 faces for 5 scores"):
        dataclasses.replace(FRAMES, faces=np.array([True]))


def test_a_video_keeps_its_class_and_the_groups_that_it_is_all_of():
    videos = by_video(FRAMES)
    assert videos.labels.tolist() == [0, 1, 1]
    assert videos.groups == {"method": ["", "swap", "blend"]}
    assert list(videos.paths) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": np.array([1, 0, 0, 1, 1])}, "video 'b' has real and fake"),
        ({"paths": ["a"]}, "1 paths for 5 scores"),
        ({"groups": {"method": ["x"]}}, "1 method for 5"),
        ({"videos": np.array([1, 0, 1, 5, 5])}, "without gaps"),
        ({"probabilities": np.array([0.9, 0.1, 0.6, 0.5, 2.0])}, "2.0"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, told):
    with pytest.raises(UserError, match=told):
        dataclasses.replace(FRAMES, **change)


def test_an_unknown_aggregation_is_refused():
    with pytest.raises(UserError, match="Did you mean 'mean'"):
        by_video(FRAMES, "means")


def test_a_set_may_be_empty():
    empty = ScoredSet("none", np.zeros(0), np.zeros(0, int), np.zeros(0, int), [], [])
    assert len(by_video(empty, "confidence")) == 0


def test_sub_groups_of_several_detectors_are_those_of_the_first_where_images_are_the_same():
    other = dataclasses.replace(FRAMES, groups={"size": ["large"] * 5})
    fewer = dataclasses.replace(other, paths=["b1", "a1", "b2", "c1", "x"])
    found = grouped_alike({"a": {"drawn": FRAMES}, "b": {"drawn": other}, "c": {"drawn": fewer, "more": other}})
    assert found["b"]["drawn"].groups == FRAMES.groups
    assert found["c"] == {"drawn": fewer, "more": other}
