"""A sharpness-aware step is the paper's: the gradient from where the loss is worst nearby, the step from here."""

import math
from copy import deepcopy
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision
from pytorch_lightning.strategies import FSDPStrategy
from torch.nn import functional

import tiny
from addnet.config import compose
from addnet.errors import UserError
from addnet.models import MODELS
from addnet.train import check_config
from addnet.training.callbacks.non_finite import StopOnNonFiniteLoss
from addnet.training.sam import SharpnessAware

RHO = 0.1
SAM = tiny.SGD | {"sam_rho": RHO}
ONE = {"max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 0}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)
    monkeypatch.setitem(MODELS, "timm_like", tiny.TimmLikeNet)


def _module(drop_rate=0.0, **arguments):
    return tiny.detector(**({"model": tiny.MODEL | {"drop_rate": drop_rate}, "optimizer": SAM} | arguments))


def _by_hand(module, *, clip=None):
    """Weights after one step on the first batch, by algorithm 1 of the paper; the network of the first pass."""
    net, batch = module.net.train(), next(iter(tiny.Loaders().train_dataloader()))
    start = [parameter.detach().clone() for parameter in net.parameters()]

    def gradients(net):
        loss = functional.cross_entropy(net(batch["image"], batch["mask"]), batch["label"])
        return torch.autograd.grad(loss, list(net.parameters()))

    other = deepcopy(net)
    first = gradients(net)
    length = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in first))
    with torch.no_grad():
        for parameter, gradient in zip(other.parameters(), first, strict=True):
            parameter += RHO * gradient / length
    second = gradients(other)
    if clip:
        norm = math.sqrt(sum(float(gradient.double().square().sum()) for gradient in second))
        second = [gradient * min(1, clip / norm) for gradient in second]
    pairs = zip(start, second, strict=True)
    return [w - SAM["lr"] * (g + SAM["weight_decay"] * w) for w, g in pairs], net


def _same(module, expected, **close):
    for parameter, value in zip(module.net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, **close)


@pytest.mark.parametrize("clip", [None, 0.01])
def test_a_step_is_the_paper_s_and_statistics_and_loss_are_those_of_the_first_pass(clip):
    module = _module()
    expected, net = _by_hand(deepcopy(module), clip=clip)
    trainer = tiny.fit(module, gradient_clip_val=clip, **ONE)
    _same(module, expected, rtol=0, atol=1e-6)
    for name, buffer in net.named_buffers():
        torch.testing.assert_close(module.net.get_buffer(name), buffer, msg=name)
    assert module.net.backbone[1].num_batches_tracked == 1
    plain = _module(optimizer=tiny.SGD)
    told = tiny.fit(plain, **ONE).callback_metrics
    assert {key: value.item() for key, value in trainer.callback_metrics.items()} == pytest.approx(
        {key: value.item() for key, value in told.items()}
    )
    assert not torch.allclose(plain.net.head.weight, module.net.head.weight, rtol=0, atol=1e-6)


def test_both_passes_drop_the_same_and_each_step_others():
    module, drawn = _module(drop_rate=0.5), []
    module.net.dropout.register_forward_hook(lambda layer, given, output: drawn.append((output == 0) & (given[0] > 0)))
    tiny.fit(module, **(ONE | {"limit_train_batches": 3}))
    assert len(drawn) == 6
    assert all(torch.equal(drawn[at], drawn[at + 1]) for at in (0, 2, 4))
    assert not torch.equal(drawn[0], drawn[2])


def test_with_pairs_dropout_averaging_and_freezing_a_resume_is_exact(tmp_path):
    levers = {"model": {"name": "timm_like"}, "loss": {"uniformity": 0.5, "alignment": 0.1}}
    levers |= {"optimizer": SAM, "ema_decay": 0.5, "freeze_backbone_epochs": 1}
    saver = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, save_on_train_epoch_end=True)
    whole, resumed = tiny.detector(**levers), tiny.detector(**levers)
    tiny.fit(whole, max_epochs=3, callbacks=[saver], enable_checkpointing=True)
    tiny.fit(resumed, max_epochs=3, ckpt_path=tmp_path / "step=10.ckpt")
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_what_is_frozen_is_not_moved_where_it_keeps_its_gradients_as_on_several_processes():
    module, seen = _module(freeze_backbone_epochs=1), []
    module.on_train_batch_start = lambda *_: module.net.backbone.requires_grad_(True) and None  # after the callback's
    module.net.register_forward_pre_hook(lambda net, _: seen.append(net.backbone[0].weight.detach().clone()))
    tiny.fit(module, **ONE)
    assert len(seen) == 2
    assert torch.equal(*seen)


def test_a_loss_that_is_no_number_in_the_second_pass_leaves_the_weights_where_they_were():
    module = _module(optimizer=SAM | {"sam_rho": 1e38})
    before = [parameter.detach().clone() for parameter in module.net.parameters()]
    with pytest.raises(UserError, match="the loss became"):
        tiny.fit(module, callbacks=[StopOnNonFiniteLoss()], **ONE)
    _same(module, before, rtol=0, atol=0)
    assert not module.sam.second


def _scaled(scale):
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return MixedPrecision("16-mixed", "cpu", scaler=scaler)


def test_a_loss_scale_changes_no_step_and_an_overflow_leaves_the_step_out():
    plain, scaled, overflown = (_module() for _ in range(3))
    before = [parameter.detach().clone() for parameter in overflown.net.parameters()]
    tiny.fit(plain, **ONE)
    tiny.fit(scaled, plugins=[_scaled(2.0**12)], **ONE)
    _same(scaled, [parameter.detach() for parameter in plain.net.parameters()], rtol=0, atol=1e-3)
    assert not torch.equal(scaled.net.head.weight, before[-2])
    tiny.fit(overflown, plugins=[_scaled(2.0**125)], **ONE)
    _same(overflown, before, rtol=0, atol=0)


def test_bfloat16_trains():
    module = _module()
    tiny.fit(module, precision="bf16-mixed", max_epochs=1)
    assert all(parameter.isfinite().all() for parameter in module.parameters())


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0, -0.05, math.nan, math.inf, "much", True])
def test_a_radius_that_makes_no_sense_is_refused(rho):
    with pytest.raises(UserError, match=r"optimizer\.sam_rho="):
        _module(optimizer=SAM | {"sam_rho": rho})


def test_accumulation_and_parts_of_a_gradient_are_refused_before_anything_runs(data_dir):
    with pytest.raises(UserError, match=r"sam_rho=0\.1 can't be combined with trainer\.accumulate_grad_batches=2"):
        tiny.fit(_module(), accumulate_grad_batches=2)
    sharded = SimpleNamespace(accumulate_grad_batches=1, strategy=FSDPStrategy())
    with pytest.raises(UserError, match=r"can't be combined with FSDPStrategy, .* use trainer=ddp"):
        SharpnessAware(0.1).check_trainer(sharded)
    cfg = compose(["model.pretrained=false", f"data.data_dir={data_dir}", "optimizer.sam_rho=0.1"])
    datamodule = SimpleNamespace(preprocessing=dict)
    trainer = pl.Trainer(accelerator="cpu", logger=False, max_epochs=1, accumulate_grad_batches=2)
    with pytest.raises(UserError, match=r"trainer\.accumulate_grad_batches=1"):
        check_config(cfg, datamodule, trainer, None)
