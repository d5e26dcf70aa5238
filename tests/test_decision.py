"""What validation decides travels as plain values, and is told where it can't be used."""

import json

import pytest
import torch

from addnet.errors import UserError
from addnet.evaluation import Decision, Scores, decide
from addnet.evaluation.decision import LEVELS


def _scores(probabilities, labels, videos):
    return Scores(torch.tensor(probabilities).double(), torch.tensor(labels), torch.tensor(videos))


def test_each_level_gets_its_own_threshold():
    decision = decide(_scores([0.2, 0.6, 0.3, 0.5, 0.9, 0.8], [0, 0, 0, 1, 1, 1], [3, 3, 5, 7, 7, 9]))
    assert set(json.loads(json.dumps(decision))) == set(LEVELS)
    assert decision["frame"]["threshold"] in (pytest.approx(0.4), pytest.approx(0.7))  # one mistake either way
    assert 0.4 < decision["video"]["threshold"] < 0.7  # means 0.4, 0.3 against 0.7, 0.8
    assert (decision["frame"]["rows"], decision["video"]["rows"]) == (6, 4)
    assert all(0.05 <= decision[level]["temperature"] <= 20 for level in LEVELS)


@pytest.mark.parametrize(("probabilities", "labels"), [([0.1, 0.2], [0, 0]), ([0.1, float("nan")], [0, 1]), ([], [])])
def test_where_nothing_can_be_decided_nothing_is(probabilities, labels):
    assert decide(_scores(probabilities, labels, list(range(len(labels))))) is None


def test_videos_with_both_classes_leave_the_decision_to_pictures():
    assert set(decide(_scores([0.1, 0.9, 0.8], [0, 1, 1], [0, 0, 1]))) == {"frame"}


def test_levels_without_an_entry_borrow_or_have_none():
    decision = {"frame": {"threshold": 0.3, "temperature": None}, "video": {"threshold": 0.6, "temperature": 2.0}}
    assert Decision.of(decision, "frame").temperature is None
    assert "chosen for the mean" in Decision.of(decision, "video_max").stated
    assert Decision.of({"frame": decision["frame"]}, "video") == Decision()
    assert Decision.of(None, "frame").threshold == 0.5


@pytest.mark.parametrize(
    "wrong", [{"threshold": 2}, {"threshold": "low"}, {}, 3, {"threshold": 0.5, "temperature": -1}]
)
def test_what_is_no_decision_is_refused(wrong):
    with pytest.raises(UserError, match="checkpoint's"):
        Decision.of({"frame": wrong or {"temperature": 1.0}}, "frame")
