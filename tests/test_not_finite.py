"""Scores that aren't finite numbers become no metric, no best checkpoint and no verdict: all stop, and say of what."""

import math

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from addnet.data.audit.scores import auroc
from addnet.errors import UserError
from addnet.evaluation import Scores, binary_metrics, by_video, choose_thresholds, confusion_matrix, fit_temperature
from addnet.evaluation.ranking import ranking
from addnet.evaluation.scored import ScoredSet
from addnet.evaluation.weighted import calling, saying
from addnet.finite import require_finite
from addnet.inference import Detector
from addnet.models.registry import MODELS
from addnet.training.callbacks.best_checkpoint import BestCheckpoint
from addnet.training.scores import ScoreCollector
from checkpoints import checkpoint
from tiny import TinyNet, detector, fit

BAD = [math.nan, math.inf, -math.inf]
LABELS = torch.tensor([0, 1, 1])


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("metric", [binary_metrics, confusion_matrix])
def test_no_metric_of_training_is_made_of_them(metric, bad):
    with pytest.raises(UserError, match="1 of 3 scores isn't finite"):
        metric(torch.tensor([0.1, bad, 0.8]).double(), LABELS)
    with pytest.raises(UserError, match="1 of 2 scores"):  # the mean of a video that holds one
        metric(*by_video(Scores(torch.tensor([0.1, bad, 0.8]).double(), LABELS, torch.tensor([0, 1, 1])))[:2])


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    "measure",
    [
        lambda scores, labels: ranking(scores, labels),
        lambda scores, labels: calling(scores, labels, threshold=0.5),
        lambda scores, labels: saying(scores, labels),
        choose_thresholds,
        fit_temperature,
        auroc,
    ],
)
def test_no_metric_of_an_evaluation_or_audit_is_made_of_them(measure, bad):
    with pytest.raises(UserError, match="1 of 3 scores isn't finite"):
        measure(np.array([0.1, bad, 0.8]), LABELS.numpy())


def test_a_scored_set_names_what_was_scored():
    with pytest.raises(UserError, match=r"(?s)2 of 3 scores of celeb aren't finite.*  b.png\n  c.png\n"):
        ScoredSet(
            "celeb", np.array([0.1, np.nan, np.inf]), LABELS.numpy(), np.arange(3), ["a.png", "b.png", "c.png"], "abc"
        )


def test_a_long_list_is_cut():
    with pytest.raises(UserError, match=r"(?s)9 of 9 scores.*  4\n  and 4 more"):
        require_finite(np.full(9, np.nan), list("012345678"))


@pytest.mark.parametrize(
    "callbacks", [(), (BestCheckpoint(monitor="val/frame/auroc", mode="max"),)], ids=["plain", "best"]
)
def test_validation_stops_and_chooses_no_best_checkpoint(tmp_path, monkeypatch, callbacks):
    monkeypatch.setitem(MODELS, "tiny", TinyNet)
    module = detector()
    module.net.backbone[1].running_var[0] = torch.nan  # as batch normalisation is damaged by an infinite batch
    with pytest.raises(UserError, match=r"(?s)12 of 12 scores of val aren't finite.*  0.png\n"):
        fit(
            module,
            callbacks=callbacks,
            num_sanity_val_steps=0,
            enable_checkpointing=bool(callbacks),
            default_root_dir=tmp_path,
        )
    assert not list(tmp_path.rglob("*.ckpt"))


def test_rows_that_do_not_count_may_hold_anything():
    collector = ScoreCollector()
    logits = torch.tensor([[0.0, 1.0], [0.0, torch.nan]])
    collector.update(logits, torch.tensor([1, 0]), torch.tensor([0, 1]), torch.tensor([True, False]), ["a", "b"])
    assert collector.scores().labels.tolist() == [1]


def _rank(rank, file, results):
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    collector = ScoreCollector()
    margins = torch.tensor([[0.0, 1.0], [0.0, torch.nan if rank == 1 else 2.0]])
    rows = torch.tensor([2 * rank, 2 * rank + 1])
    collector.update(margins, rows % 2, rows, torch.ones(2, dtype=torch.bool), [f"{row}.png" for row in rows.tolist()])
    try:
        collector.scores("test")
    except UserError as error:
        results.put((rank, str(error)))
    distributed.destroy_process_group()


def test_all_ranks_stop_with_the_images_of_each(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_rank, args=(rank, tmp_path / "meet", results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    told = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(timeout=60)
    assert told[0] == told[1]
    assert told[0].startswith("1 of 4 scores of test isn't finite")
    assert "  3.png" in told[0]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    found = Detector.from_checkpoint(checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt"), device="cpu")
    found.net.head.bias.data += torch.nan
    return found


def test_an_image_without_a_finite_score_is_unusable(broken, portrait):
    answer = broken.predict(portrait[0])
    assert (answer.verdict, answer.score, answer.probability, answer.faces) == ("unusable", None, None, ())
    assert "score of this face isn't a finite number" in answer.reason


def test_one_face_that_is_not_finite_decides_nothing(broken):
    (answer,) = {broken.answer([None, None], scores).verdict for scores in ([0.9, math.nan], [math.nan, 0.9])}
    assert answer == "unusable"
