"""Each loss is what its name says, over the rows that count and no others."""

import json

import pytest
import torch
from torch.nn import functional

from addnet.config import compose, plain
from addnet.errors import UserError
from addnet.training.checkpoints import check_continues
from addnet.training.losses import RowLoss, build_losses
from addnet.training.scores import LossMean

LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 1])
VALID = torch.tensor([True, True, False, True, True, True, False])
WEIGHTS = torch.tensor([0.2, 3.0])
EVERY = [
    {},
    {"label_smoothing": 0.1},
    {"name": "focal"},
    {"average": "classes"},
    {"name": "focal", "average": "classes"},
]


@pytest.fixture
def logits():
    return torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).mul_(3).requires_grad_()


def test_the_defaults_are_those_of_the_config():
    for made, default in zip(build_losses(plain(compose().loss)), build_losses({}), strict=True):
        assert {**vars(made), "of_rows": 0} == {**vars(default), "of_rows": 0}
    assert vars(build_losses(plain(compose().loss))[0].of_rows) == vars(RowLoss().of_rows)
    focal = plain(compose(["loss=focal"]).loss)
    assert vars(build_losses(focal)[0].of_rows) == vars(RowLoss("focal").of_rows)


def test_losses_of_configs_before_there_was_a_group_are_the_same():
    for name in ("cross_entropy", "focal"):
        earlier = {"name": name, "gamma": 2.0, "label_smoothing": 0.0, "average": "rows"}
        assert vars(build_losses(earlier)[0].of_rows) == vars(RowLoss(name).of_rows)


def test_a_run_of_before_goes_on_without_a_word_about_keys_that_it_lacks(caplog):
    now = plain(compose()) | {"data": {}, "trainer": {}}
    before = now | {"loss": {"name": "cross_entropy", "gamma": 2.0, "label_smoothing": 0.0, "average": "rows"}}
    for section, key in (("optimizer", "sam_rho"), ("model", "head")):
        before[section] = {name: value for name, value in now[section].items() if name != key}
    check_continues(before, now, path="last.ckpt")
    assert not caplog.text
    check_continues(before, now | {"loss": {"name": "focal", "uniformity": 0.5}}, path="last.ckpt")
    assert "loss.uniformity was 0.0 and is 0.5" in caplog.text
    with pytest.raises(UserError, match=r"optimizer\.sam_rho was None and is 0\.1"):
        check_continues(before, now | {"optimizer": now["optimizer"] | {"sam_rho": 0.1}}, path="last.ckpt")


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_default_is_torch_s_mean_cross_entropy(logits, weights):
    loss = RowLoss()(logits, LABELS, VALID, weights=weights)
    torch.testing.assert_close(loss, functional.cross_entropy(logits[VALID], LABELS[VALID], weight=weights))


@pytest.mark.parametrize("average", ["rows", "classes"])
def test_focal_without_gamma_is_cross_entropy_bit_for_bit(logits, average):
    one, other = (RowLoss(name, gamma=0.0, average=average) for name in ("focal", "cross_entropy"))
    losses = [loss(logits, LABELS, VALID) for loss in (one, other)]
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in losses]
    assert torch.equal(*losses)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-7)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_is_the_paper_s_formula(logits, gamma, weights):
    probability = logits.softmax(dim=1)[torch.arange(7), LABELS]
    alpha = torch.ones(7) if weights is None else weights[LABELS]
    rows = -alpha * (1 - probability) ** gamma * probability.log()
    expected = rows[VALID].sum() / alpha[VALID].sum()
    torch.testing.assert_close(RowLoss("focal", gamma=gamma)(logits, LABELS, VALID, weights=weights), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_rows_that_are_right_beyond_float32_give_no_nan(gamma):
    sure = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    RowLoss("focal", gamma=gamma)(sure, torch.tensor([0, 0]), torch.ones(2, dtype=torch.bool)).backward()
    assert sure.grad.isfinite().all()
    assert (sure.grad[0] == 0).all()


def test_classes_count_alike_however_many_rows_they_have(logits):
    rows = functional.cross_entropy(logits, LABELS, reduction="none")
    expected = (rows[[0, 3, 5]].mean() + rows[[1, 4]].mean()) / 2
    loss = RowLoss(average="classes")
    torch.testing.assert_close(loss(logits, LABELS, VALID), expected)
    real = VALID & (LABELS == 0)
    torch.testing.assert_close(loss(logits, LABELS, real), rows[[0, 3, 5]].mean())


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_rows_that_do_not_count_change_nothing_whatever_they_hold(logits, options):
    loss = RowLoss(**options)
    expected = loss(logits[VALID], LABELS[VALID], VALID[VALID])
    other = torch.where(VALID, LABELS, -1)
    found = loss(logits, other, VALID)
    found.backward()
    torch.testing.assert_close(found, expected)
    assert (logits.grad[~VALID] == 0).all()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("options", EVERY, ids=str)
def test_a_reported_loss_is_the_same_for_any_batches_order_and_ranks(logits, options, weights):
    if weights is not None and options.get("average") == "classes":
        pytest.skip("refused: classes would be weighted twice")
    loss = RowLoss(**options)
    with torch.no_grad():
        rows = loss.rows(logits, LABELS, VALID, weights=weights)
        expected = loss(logits, LABELS, VALID, weights=weights).item()
    shuffled = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    for order, size in [(torch.arange(7), 1), (torch.arange(7), 3), (shuffled, 2), (LABELS.argsort(), 4)]:
        mean = LossMean(loss.average)
        for batch in order.split(size):
            mean.update(rows[batch], LABELS[batch], VALID[batch], weights)
        assert mean.compute().item() == pytest.approx(expected, abs=1e-6)
    ranks = [LossMean(loss.average) for _ in range(2)]
    for rank, own in zip(ranks, (LABELS == 0, LABELS == 1), strict=True):
        rank.update(rows[own], LABELS[own], VALID[own], weights)
    ranks[0].totals, ranks[0].weights = ranks[0].totals + ranks[1].totals, ranks[0].weights + ranks[1].weights
    assert ranks[0].compute().item() == pytest.approx(expected, abs=1e-6)


def test_a_reported_loss_goes_on_where_it_was_also_from_one_number_a_batch():
    mean, again = LossMean(), LossMean()
    mean.update(torch.tensor([0.5, 1.5, 4.0]), torch.tensor([0, 1, 1]), torch.tensor([True, True, True]))
    again.load_batches(json.loads(json.dumps(mean.batches())))
    assert again.compute() == mean.compute() == 2.0
    for average in ("rows", "classes"):
        old = LossMean(average)
        old.load_batches({"totals": [4.0, 2.0], "weights": [2.0, 1.0]})  # as checkpoints had it
        assert old.compute() == 2.0


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_without_a_row_that_counts_loss_and_gradient_are_zero(logits, options):
    loss = RowLoss(**options)(logits, LABELS, torch.zeros(7, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": "focus"}, "focal"),
        ({"average": "videos"}, "classes"),
        ({"gamma": -1}, "at least 0"),
        ({"label_smoothing": 1.0}, r"\[0, 1\)"),
        ({"name": "focal", "label_smoothing": 0.1}, "loss.name=cross_entropy"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_in_words(options, named):
    with pytest.raises(UserError, match=named):
        RowLoss(**options)


def test_weighting_classes_twice_is_refused():
    with pytest.raises(UserError, match="use one of them"):
        RowLoss(average="classes").check_balance("loss_weight")
    RowLoss(average="classes").check_balance("sampler")
    RowLoss().check_balance("loss_weight")
