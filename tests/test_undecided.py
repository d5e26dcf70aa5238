"""Between two thresholds there is no verdict: in checkpoints, answers, reports and images."""

import numpy as np
import pytest
import torch

from addnet.errors import UserError
from addnet.evaluation import Scores, decide
from addnet.evaluation.assessment import assess
from addnet.evaluation.decision import UNDECIDED, Decision
from addnet.evaluation.levels import CHOSEN
from addnet.evaluation.report.tables import error_table
from addnet.evaluation.undecided import errors_of_surest, undecided_numbers
from addnet.inference.annotating import drawn
from addnet.inference.answers import Answer, between
from addnet.inference.page.words import words_of
from addnet.inference.timeline import timeline_plot
from addnet.training.origin import validation_errors
from drawn_scores import drawn_scores

TWO = {level: {"threshold": 0.7, "real_up_to": 0.3} for level in ("frame", "video")}


def _validation(seed=0, rows=400):
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    scores = 1 / (1 + np.exp(-random.normal(2 * labels - 1, 1.5)))
    return Scores(torch.from_numpy(scores), torch.from_numpy(labels), torch.arange(rows))


def test_validation_chooses_two_thresholds_for_two_bounds():
    scores = _validation()
    decision = decide(scores, max_fpr=0.01, max_fnr=0.05)
    found = validation_errors(scores, decision)["frame"]
    assert found["real_called_fake"] <= 0.01 * found["real"]
    assert found["fake_called_real"] <= 0.05 * found["fake"]
    assert found["real_undecided"] + found["fake_undecided"] > 100
    read = Decision.of(decision, "frame")
    assert read.real_up_to < read.threshold
    assert "undecided between" in read.stated
    assert "real_undecided" not in validation_errors(scores, decide(scores, max_fpr=0.01))["frame"]


def test_a_decision_calls_real_fake_or_neither():
    decision = Decision.of(TWO, "frame")
    called = decision.called(np.array([0.0, 0.3, 0.31, 0.7, 0.71]))
    assert called.tolist() == [0, 0, UNDECIDED, UNDECIDED, 1]
    assert decision.at(0.5).called(np.array([0.5, 0.51])).tolist() == [0, 1]  # given by somebody: one alone
    earlier = Decision.of({"frame": {"threshold": 0.7}}, "frame")
    assert earlier.real_up_to is None
    assert earlier.called(np.array([0.31])).tolist() == [0]


def test_thresholds_the_wrong_way_round_are_refused():
    with pytest.raises(UserError, match=r"real up to 0\.8 and fake above 0\.7; expected the first threshold to be"):
        Decision.of({"frame": {"threshold": 0.7, "real_up_to": 0.8}}, "frame")


def test_reports_count_what_is_undecided_and_draw_what_it_saves():
    scored = drawn_scores("a", skill=1.0, seed=1)
    evaluation = assess({"mine": {"a": scored}}, {"mine": TWO}, resamples=20)
    level = evaluation["checkpoints"]["mine"]["sets"]["a"]["levels"]["frame"]
    errors, fake = level["called"][CHOSEN]["errors"], scored.labels == 1
    between = (scored.probabilities > 0.3) & (scored.probabilities <= 0.7)
    assert errors["fake_undecided"]["count"] == (between & fake).sum() > 0
    assert errors["fake_called_real"]["count"] == (scored.probabilities[fake] <= 0.3).sum()
    assert "fake_undecided" not in level["called"]["half"]["errors"]
    assert "fake undecided" in [row[1].text for row in error_table(evaluation["checkpoints"], "frame").rows]
    assert level["undecided"]["decided"]["count"] == (~between).sum()
    assert len(level["undecided"]["curve"]) == 10


def test_the_surest_are_wrong_least_and_all_of_them_as_often_as_at_the_middle():
    scored, decision = drawn_scores("a", skill=1.0, seed=1), Decision.of(TWO, "frame")
    errors = errors_of_surest(scored, decision)
    assert errors[-1] == pytest.approx(((scored.probabilities > 0.5) != (scored.labels == 1)).mean())
    half = np.argsort(-np.abs(scored.probabilities - 0.5))[: len(scored) // 2]
    wrong = (scored.probabilities[half] > 0.5) != (scored.labels[half] == 1)
    assert errors[len(half) - 1] == pytest.approx(wrong.mean())
    assert undecided_numbers(scored, decision)["curve"][-1]["errors"] == errors[-1]


def test_an_answer_says_so_in_words_and_in_grey():
    decision = Decision.of(TWO, "frame")
    answer = Answer("undecided", 0.5, 0.5, 0.7, "face.jpg", reason=between(decision))
    words = words_of(answer, decision, fake="fake")
    assert (words.headline, words.tone) == ("Undecided", "none")
    assert "where validation had too many" in words.lines[0]
    image = drawn(np.full((64, 64, 3), 255, np.uint8), [], class_names=("real", "fake"), answer=answer)
    colours = image.reshape(-1, 3).astype(int)
    assert (np.ptp(colours, axis=1) <= 2).all()
    assert (colours < 120).any()
    assert "undecided" in timeline_plot(answer).axes[0].get_legend_handles_labels()[1][-1]
