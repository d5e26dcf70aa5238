"""What validation decides travels as plain values, and is told where it can't be used."""

import json
from types import SimpleNamespace

import pytest
import torch

from addnet.errors import UserError
from addnet.evaluate import decision_of
from addnet.evaluation import Decision, Scores, assess, decide
from addnet.evaluation.decision import LEVELS, as_read
from addnet.evaluation.report.tables import level_table
from addnet.evaluation.report.texts import method_texts
from drawn_scores import drawn_scores


def _scores(probabilities, labels, videos):
    return Scores(torch.tensor(probabilities).double(), torch.tensor(labels), torch.tensor(videos))


def test_each_level_gets_its_own_threshold():
    decision = decide(_scores([0.2, 0.6, 0.3, 0.5, 0.9, 0.8], [0, 0, 0, 1, 1, 1], [3, 3, 5, 7, 7, 9]))
    assert set(json.loads(json.dumps(decision))) == set(LEVELS)
    assert decision["frame"]["threshold"] in (pytest.approx(0.4), pytest.approx(0.7))  # one mistake either way
    assert 0.4 < decision["video"]["threshold"] < 0.7  # means 0.4, 0.3 against 0.7, 0.8
    assert (decision["frame"]["rows"], decision["video"]["rows"]) == (6, 4)
    for level in LEVELS:
        assert decision[level]["temperature"] == 1.0
        assert decision[level]["calibration"].startswith("not calibrated: validation has")
        assert decision[level]["limits"] == [0.25, 0.75]  # two videos of each class
    read = Decision.of(decision, "video_max")
    assert (read.origin, read.temperature) == ("fitted", None)
    assert (read.calibrated(0.999), read.calibrated(0.6), read.calibrated(0.0)) == (0.75, 0.6, 0.25)
    assert read.told.endswith("; validation supports 0.250 to 0.750")


def test_images_without_a_face_have_no_part_in_it():
    scores = _scores([0.2, 0.9, 0.3, 0.8, 0.1, 0.7], [0, 0, 0, 1, 1, 1], [0, 0, 1, 2, 2, 3])
    faces = torch.tensor([True, False, True, True, False, True])
    seen = scores.take(faces)
    assert decide(scores._replace(faces=faces)) == decide(seen) != decide(scores)
    assert decide(scores._replace(faces=torch.zeros(6, dtype=torch.bool))) == decide(scores)


def test_earlier_checkpoints_get_limits_and_lose_a_temperature_at_its_bound():
    old = {
        "frame": {"threshold": 0.4, "temperature": 0.05, "rows": 400},
        "video": {"threshold": 0.5, "temperature": 1.5, "rows": 36},
    }
    frame, video = (Decision.of(old, level) for level in ("frame", "video"))
    assert frame.temperature is None
    assert frame.told.startswith("not calibrated: validation has no errors to learn from")
    assert frame.calibrated(0.99) == 0.95  # 18 of 36 videos
    assert frame.calibrated(0.7) == 0.7
    assert video.temperature == 1.5
    read = as_read(old)
    assert read["frame"]["temperature"] == 1.0
    assert read["frame"]["limits"] == [0.05, 0.95]
    assert Decision.of(read, "frame") == frame


def test_a_given_threshold_is_said_to_be_given():
    decision = Decision.of({"frame": {"threshold": 0.3, "temperature": 2.0}}, "frame").at(0.6)
    assert (decision.threshold, decision.stated, decision.origin) == (0.6, "0.6, as given", "given")
    assert Decision.of({"frame": decision.plain()}, "frame") == decision


@pytest.mark.parametrize(
    ("decision", "threshold", "row", "method"),
    [
        (
            {"frame": {"threshold": 0.4}, "video": {"threshold": 0.4}},
            None,
            "from validation (videos, max; videos, by",
            "for the mean is used",
        ),
        ({key: {"threshold": 0.4} for key in LEVELS}, None, "threshold from validation", "are from the checkpoint"),
        ({key: {"threshold": 0.4} for key in LEVELS}, 0.6, "threshold as given", "given with the command"),
        (None, 0.6, "threshold as given", "given with the command"),
        (None, None, "0.5, no threshold in the checkpoint", "evaluated at 0.5"),
    ],
)
def test_a_report_says_where_each_threshold_is_from(decision, threshold, row, method):
    asked = SimpleNamespace(loaded=SimpleNamespace(about={"decision": decision}))
    used = decision_of(SimpleNamespace(threshold=threshold), asked)
    evaluation = assess({"a": {"set": drawn_scores("set", videos=6)}}, {"a": used}, resamples=2)
    table = level_table(evaluation["checkpoints"]["a"]["sets"]["set"]["levels"])
    told = next(cells[0].small for cells in table.rows if cells[0].text == "accuracy")
    assert row.removeprefix("from validation ") in told
    texts = " ".join(method_texts(evaluation))
    assert method in texts
    mean, own = "for the mean is used", "are from the checkpoint"
    for other in {mean, own, "given with the command", "evaluated at 0.5"} - {method}:
        assert other not in texts or (method, other) == (mean, own)


@pytest.mark.parametrize(("probabilities", "labels"), [([0.1, 0.2], [0, 0]), ([], [])])
def test_where_nothing_can_be_decided_nothing_is(probabilities, labels):
    assert decide(_scores(probabilities, labels, list(range(len(labels))))) is None


def test_videos_with_both_classes_leave_the_decision_to_images():
    assert set(decide(_scores([0.1, 0.9, 0.8], [0, 1, 1], [0, 0, 1]))) == {"frame"}


def test_levels_without_an_entry_borrow_or_have_none():
    decision = {"frame": {"threshold": 0.3, "temperature": None}, "video": {"threshold": 0.6, "temperature": 2.0}}
    assert Decision.of(decision, "frame").temperature is None
    assert "chosen for the mean" in Decision.of(decision, "video_max").stated
    assert Decision.of({"frame": decision["frame"]}, "video") == Decision()
    assert Decision.of(None, "frame").threshold == 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 2},
        {"threshold": "low"},
        {},
        3,
        {"threshold": 0.5, "temperature": -1},
        {"threshold": 0.5, "limits": [0.9, 2]},
    ],
)
def test_what_is_no_decision_is_refused(wrong):
    with pytest.raises(UserError, match="checkpoint's"):
        Decision.of({"frame": wrong or {"temperature": 1.0}}, "frame")
