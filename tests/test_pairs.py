"""Uniformity and alignment are what a plain double loop over pairs gives, values and gradients."""

import math
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

import tiny
from addnet.config import compose
from addnet.errors import UserError
from addnet.models import MODELS, create_model
from addnet.training import DeepfakeDetector
from addnet.training.pairs import alignment, uniformity
from addnet.training.preflight import check_rates
from addnet.training.sam import require_whole_gradients
from addnet.training.terms import FeatureLoss

LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 1, 7])  # what isn't valid may hold anything
VALID = torch.tensor([True, True, False, True, True, True, True, False])
GEND = {"uniformity": 0.5, "alignment": 0.1}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)
    monkeypatch.setitem(MODELS, "timm_like", tiny.TimmLikeNet)


@pytest.fixture
def features():
    drawn = torch.randn(8, 16, generator=torch.Generator().manual_seed(0)) * torch.logspace(-2, 3, 8)[:, None]
    drawn[2], drawn[7] = torch.nan, torch.inf  # rows that don't count
    return drawn.requires_grad_()


def _looped(features, labels, valid):
    """Both terms by two loops in float64."""
    rows = [feature.double() / feature.double().norm() for feature in features]
    alike, close = [], []
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            if not (valid[i] and valid[j]):
                continue
            distance = ((rows[i] - rows[j]) ** 2).sum()
            close.append((-2 * distance).exp())
            if labels[i] == labels[j]:
                alike.append(distance)
    return torch.stack(close).mean().log(), torch.stack(alike).mean()


def test_both_are_a_double_loop_over_pairs_gradients_included(features):
    values = uniformity(features, LABELS, VALID), alignment(features, LABELS, VALID)
    for value, expected in zip(values, _looped(features, LABELS, VALID), strict=True):
        assert value.item() == pytest.approx(expected.item(), abs=1e-6)
        (found,) = torch.autograd.grad(value, features, retain_graph=True)
        (looped,) = torch.autograd.grad(expected, features, retain_graph=True)
        # a gradient goes with 1 over the length of its features
        lengths = features.detach().norm(dim=1, keepdim=True)[VALID]
        torch.testing.assert_close(found[VALID] * lengths, looped[VALID] * lengths, rtol=0, atol=1e-6)
        assert (found[~VALID] == 0).all()


def test_two_opposite_points_and_equal_ones_are_the_ends_of_the_scale():
    opposite, alike = torch.tensor([[2.0, 0.0], [-3.0, 0.0]]), torch.ones(2, 2)
    labels, valid = torch.zeros(2), torch.ones(2, dtype=torch.bool)
    assert (uniformity(opposite, labels, valid), alignment(opposite, labels, valid)) == (-8, 4)
    assert (uniformity(alike, labels, valid), alignment(alike, labels, valid)) == (0, 0)


@pytest.mark.parametrize("valid", [[False, False, False], [True, False, False], [True, True, False]])
@pytest.mark.parametrize("same", [False, True])
def test_where_there_is_no_pair_value_and_gradient_are_zero_and_equal_rows_have_a_finite_one(valid, same):
    features = (torch.ones(3, 4) if same else torch.eye(3, 4)).requires_grad_()
    labels, valid = torch.tensor([0, 1, 1]), torch.tensor(valid)
    terms = FeatureLoss(**GEND).of_pairs(features, labels, valid)
    assert terms["alignment"] == 0  # no two of one class
    FeatureLoss(**GEND).total(terms).backward()
    assert features.grad.isfinite().all()
    if valid.sum() < 2:
        assert terms["uniformity"] == 0
        assert (features.grad == 0).all()


def test_both_are_computed_in_float32_under_mixed_precision():
    features, labels, valid = torch.randn(6, 512), LABELS[:6], torch.ones(6, dtype=torch.bool)
    expected = FeatureLoss(**GEND).of_pairs(features, labels, valid)
    with torch.autocast("cpu", torch.bfloat16):
        assert FeatureLoss(**GEND).of_pairs(features, labels, valid) == expected


# ---- in training -------------------------------------------------------------------------------------------


def _module(**arguments):
    return tiny.detector(model={"name": "timm_like"}, **arguments)


class Steps(pl.Callback):
    """Notes what each step logs, and how often the backbone ran for it."""

    def __init__(self, module):
        self.logged, self.passes = [], 0
        module.net.backbone.register_forward_hook(self._count)

    def _count(self, backbone, inputs, output):
        self.passes += backbone.training

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.logged.append({key: float(trainer.callback_metrics[key]) for key in trainer.callback_metrics})


def test_a_step_adds_both_with_their_weights_by_one_pass_and_logs_them():
    module = tiny.detector(model={"name": "timm_like", "norm": False, "drop_rate": 0.0}, loss=GEND)
    batch, net = next(iter(tiny.Loaders().train_dataloader())), module.net
    with torch.no_grad():
        pooled = net.forward_head(net.forward_features(batch["image"], batch["mask"]), pre_logits=True)
        rows = nn.functional.cross_entropy(net(batch["image"], batch["mask"]), batch["label"]).item()
    even, alike = (term.item() for term in _looped(pooled, batch["label"], batch["valid"]))
    steps = Steps(module)
    tiny.fit(module, callbacks=[steps], max_epochs=1, limit_train_batches=1)
    first = steps.logged[0]
    assert steps.passes == 1
    assert first["train/step/uniformity"] == pytest.approx(even, abs=1e-6)
    assert first["train/step/alignment"] == pytest.approx(alike, abs=1e-6)
    assert first["train/step/loss"] == pytest.approx(rows + 0.5 * even + 0.1 * alike, abs=1e-6)


def test_without_them_nothing_changes_and_nothing_is_logged():
    made = [_module(loss=loss) for loss in (None, {"uniformity": 0.0, "alignment": 0.0})]
    trainers = [tiny.fit(module) for module in made]
    assert not [key for trainer in trainers for key in trainer.callback_metrics if "uniform" in key or "align" in key]
    for one, other in zip(*(module.state_dict().values() for module in made), strict=True):
        assert torch.equal(one, other)


def test_features_come_by_one_pass_that_gives_the_same_logits():
    module = DeepfakeDetector({"name": "bandpass", "drop_rate": 0.0}, loss=GEND).eval()
    image, mask = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    logits, features, _ = module._with_features(image, mask)
    assert torch.equal(logits, module(image, mask))
    assert torch.equal(logits, module.net.head(features))


@pytest.mark.parametrize("rows", [1, 5])
def test_uneven_batches_and_accumulation_train(rows):
    module = _module(loss=GEND)
    trainer = tiny.fit(module, rows=8 + rows, batch_size=4, accumulate_grad_batches=2, max_epochs=1)
    assert trainer.global_step == 2
    assert all(parameter.isfinite().all() for parameter in module.parameters())


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uniformity", "alignment", "guide"])
@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf, "much", True, None])
def test_weights_that_make_no_sense_are_refused(name, weight):
    with pytest.raises(UserError, match=f"loss.{name}="):
        FeatureLoss(**{name: weight})


def test_a_network_without_features_is_refused_where_they_are_needed():
    with pytest.raises(UserError, match=r"loss\.alignment=0\.1 needs the features of TinyNet, which lacks forward_f"):
        tiny.detector(loss={"alignment": 0.1})
    tiny.detector(loss={"alignment": 0.0})


def test_batches_without_pairs_and_parts_of_networks_are_refused():
    with pytest.raises(UserError, match=r"data\.batch_size=1 has none"):
        tiny.fit(_module(loss=GEND), batch_size=1)
    sharded = SimpleNamespace(strategy=pl.strategies.FSDPStrategy())
    with pytest.raises(UserError, match=r"loss\.uniformity=0\.5 can't be combined with FSDPStrategy"):
        require_whole_gradients(sharded, "loss.uniformity=0.5")


def test_networks_of_the_program_give_features():
    for name in ("addnet", "bandpass"):
        FeatureLoss(**GEND).check_network(create_model(name))
    module = DeepfakeDetector({"name": "addnet", "head": "cosine"}, loss=dict(compose(["loss.uniformity=0.5"]).loss))
    assert module.feature_loss.weights == {"uniformity": 0.5}
    check_rates(module, pl.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False))
