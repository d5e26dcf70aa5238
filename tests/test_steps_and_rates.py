"""Accumulation, clipping, precision, schedules and rates: each changes what it should and nothing else."""

import logging
import math

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

import tiny
from addnet.config import load_group
from addnet.errors import UserError
from addnet.models import MODELS, create_model
from addnet.training.optim import build_optimizer, build_schedulers, parameter_groups

FIXED = {"name": "sgd", "nesterov": False, "momentum": 0.0, "lr": 0.05, "weight_decay": 0.0}
COSINE = {"name": "cosine", "warmup_epochs": 1.0, "min_lr_factor": 0.01}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)


class Steps(pl.Callback):
    """Learning rate and norm of the gradient at each optimiser step, after clipping."""

    def __init__(self):
        self.rates, self.norms, self.gradients = [], [], []

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        found = [p.grad for p in pl_module.net.parameters() if p.grad is not None]
        if found:  # Lightning also clears gradients before the first step
            self.norms.append(float(torch.stack([g.norm() for g in found]).norm()))
            self.gradients.append([g.clone() for g in found])

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append([group["lr"] for group in optimizer.param_groups])


def _still(**arguments):
    """Without what depends on the size of a batch or on chance."""
    module = tiny.detector(model=tiny.MODEL | {"drop_rate": 0.0}, optimizer=FIXED, **arguments)
    for layer in module.net.backbone:
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum, layer.forward = 0.0, lambda x: x
    return module


def test_two_halves_accumulated_are_one_batch():
    one, two = _still(), _still()
    whole, halves = Steps(), Steps()
    tiny.fit(one, rows=24, batch_size=8, callbacks=[whole], num_sanity_val_steps=0)
    accumulate = {"accumulate_grad_batches": 2, "num_sanity_val_steps": 0}
    tiny.fit(two, rows=24, batch_size=4, callbacks=[halves], **accumulate)
    assert len(whole.rates) == len(halves.rates) == 6
    for name, value in one.net.state_dict().items():
        torch.testing.assert_close(two.net.state_dict()[name], value, atol=1e-6, rtol=1e-4)


def test_clipping_bounds_the_gradient_and_keeps_its_direction():
    free, bound = Steps(), Steps()
    arguments = {"max_steps": 1, "num_sanity_val_steps": 0, "limit_val_batches": 0}
    for steps, limit in ((free, None), (bound, 0.01)):
        module = tiny.detector()
        module.on_train_batch_end = lambda *_, steps=steps, module=module: steps.on_before_zero_grad(None, module, None)
        tiny.fit(module, gradient_clip_val=limit, **arguments)
    assert free.norms[0] > 0.05
    assert bound.norms[0] == pytest.approx(0.01, rel=1e-3)
    factor = bound.norms[0] / free.norms[0]
    for one, other in zip(free.gradients[0], bound.gradients[0], strict=True):
        torch.testing.assert_close(one * factor, other)


def test_mixed_precision_keeps_weights_and_bandpass_in_float32():
    seen = {}
    torch.manual_seed(0)
    module = tiny.detector(model={"name": "bandpass", "kernel_size": 7}, optimizer=None)
    module.net.bandpass.register_forward_hook(lambda _, __, out: seen.update(band=out.dtype))
    module.net.backbone.block4.register_forward_hook(lambda _, __, out: seen.update(block=out.dtype))

    class Large(tiny.Images):
        def __getitem__(self, index):
            row = super().__getitem__(index)
            return row | {"image": row["image"].repeat(1, 4, 4), "mask": row["mask"].repeat(1, 4, 4)}

    arguments = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(precision="bf16-mixed", max_steps=1, limit_val_batches=0, **arguments)
    trainer.fit(module, torch.utils.data.DataLoader(Large(4), batch_size=4))
    assert seen == {"band": torch.float32, "block": torch.bfloat16}
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert all(p.isfinite().all() and p.grad.isfinite().all() for p in module.net.parameters())
    assert trainer.callback_metrics["train/frame/loss"].isfinite()


# ---- schedules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("length", [{"max_epochs": 3}, {"max_epochs": None, "max_steps": 7}])
def test_a_schedule_ends_where_training_ends(name, accumulate, length):
    settings = COSINE if name == "cosine" else load_group("scheduler", name)
    steps, per_epoch = Steps(), math.ceil(5 / accumulate)
    total = length.get("max_steps", 3 * per_epoch)
    tiny.fit(tiny.detector(scheduler=settings), callbacks=[steps], accumulate_grad_batches=accumulate, **length)
    rates = [rate / 0.05 for (rate,) in steps.rates]
    assert len(rates) == total
    optimizer = build_optimizer(tiny.TinyNet(), tiny.SGD)
    (schedule,) = build_schedulers(optimizer, settings, total_steps=total, steps_per_epoch=per_epoch)
    for position, rate in enumerate(rates):
        assert optimizer.param_groups[0]["lr"] / 0.05 == pytest.approx(rate)
        optimizer.step()
        if position < total - 1:
            schedule["scheduler"].step()
    if name == "cosine":  # one epoch of warm-up, counted in optimiser steps
        assert rates[per_epoch] == max(rates) == 1


def test_an_endless_training_has_no_schedule():
    with pytest.raises(UserError, match="needs the length of the training"):
        tiny.fit(tiny.detector(scheduler=COSINE), max_epochs=-1)


def _plateau(warmup):
    """Waits for the loss to rise, which it does not: so that the plateau is reached at once."""
    changed = {"monitor": "val/frame/loss", "mode": "max", "patience": 0}
    return load_group("scheduler", "plateau") | changed | {"warmup_epochs": warmup}


def test_plateau_warms_up_by_steps_and_falls_by_epochs():
    steps = Steps()
    tiny.fit(tiny.detector(scheduler=_plateau(1.0)), callbacks=[steps], max_epochs=3)
    rates = [rate / 0.05 for (rate,) in steps.rates]
    assert rates == pytest.approx([(n + 1) / 6 for n in range(5)] + 5 * [1.0] + 5 * [0.1])


def test_plateau_without_a_warm_up_is_what_it_was():
    (schedule,) = build_schedulers(
        build_optimizer(tiny.TinyNet(), tiny.SGD), load_group("scheduler", "plateau"), total_steps=9, steps_per_epoch=3
    )
    assert schedule["interval"] == "epoch"
    assert schedule["scheduler"].optimizer.param_groups[0]["lr"] == 0.05


def test_a_resumed_plateau_goes_on_with_both_schedules(tmp_path):
    saver = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, save_on_train_epoch_end=True)
    settings, runs = _plateau(1.6), []
    for path in (None, tmp_path / "step=5.ckpt"):
        steps = Steps()
        callbacks = [steps, *([saver] if path is None else [])]
        module = tiny.detector(scheduler=settings)
        tiny.fit(module, callbacks=callbacks, ckpt_path=path, max_epochs=4, enable_checkpointing=path is None)
        runs.append(steps.rates)
    assert runs[0][5:] == runs[1]
    assert runs[0][-1] != runs[0][9]


# ---- batches -----------------------------------------------------------------------------------------------


def test_the_start_says_how_many_images_decide_a_step(caplog):
    with caplog.at_level(logging.INFO, "addnet"):
        tiny.fit(tiny.detector(), accumulate_grad_batches=2)
    line = "effective batch size 8 = 4 images × 1 process × 2 accumulated; 3 optimiser steps an epoch"
    assert line in caplog.messages


# ---- rates by depth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["addnet", "bandpass"])
def test_rates_fall_from_the_head_down_and_sigmas_keep_theirs(name):
    net = create_model(name, combine="mix")
    settings = {"name": "adam", "lr": 1e-3, "weight_decay": 0.1, "sigma_lr": 0.5, "layer_decay": 0.5}
    groups = {group["name"]: group for group in build_optimizer(net, settings).param_groups}
    depths = ["head", "tail", "block12", "middle", "block3", "block2", "block1", "stem"]
    weights = [f"weights.{stage}" for stage in depths]
    assert list(groups) == weights + ["sigmas"] * (name == "bandpass")
    assert [groups[key]["lr"] for key in weights] == pytest.approx([1e-3 * 0.5**depth for depth in range(8)])
    assert all(groups[key]["weight_decay"] == 0.1 for key in weights)
    assert name == "addnet" or (groups["sigmas"]["lr"], groups["sigmas"]["weight_decay"]) == (0.5, 0.0)
    every = [id(p) for group in groups.values() for p in group["params"]]
    assert sorted(every) == sorted(id(p) for p in net.parameters())
    assert id(net.add_blocks["middle"].amount) in {id(p) for p in groups["weights.middle"]["params"]}


def test_without_layer_decay_there_is_one_rate():
    groups = parameter_groups(create_model("bandpass"), weight_decay=0.1, sigma_lr=1, lr=1, layer_decay=None)
    assert [group["name"] for group in groups] == ["weights", "sigmas"]
    assert "lr" not in groups[0]


def test_rates_by_depth_keep_their_ratio_under_a_schedule():
    steps = Steps()
    optimizer = tiny.SGD | {"layer_decay": 0.5}
    tiny.fit(tiny.detector(optimizer=optimizer, scheduler=COSINE), callbacks=[steps])
    assert all(row == pytest.approx([row[0], row[0] / 2, row[0] / 4]) for row in steps.rates)


def test_a_cosine_with_cycles_begins_anew_after_each_and_knows_its_place_after_a_resume():
    settings = {"name": "cosine", "warmup_epochs": 1, "min_lr_factor": 0.1, "cycle_epochs": 4}
    optimizer = build_optimizer(tiny.TinyNet(), tiny.SGD)
    (schedule,) = build_schedulers(optimizer, settings, total_steps=30, steps_per_epoch=3)
    factor = schedule["scheduler"].lr_lambdas[0]
    rates = [factor(step) for step in range(30)]
    assert rates[:12] == rates[12:24]
    assert rates[24:] == rates[:6]
    assert rates[:3] == pytest.approx([0.25, 0.5, 0.75])
    assert rates[3] == 1
    assert 0.1 < rates[11] < rates[10] < rates[4]
    other = build_schedulers(optimizer, settings | {"cycle_epochs": None}, total_steps=30, steps_per_epoch=3)
    assert other[0]["scheduler"].lr_lambdas[0](12) < 1
    earlier = schedule["scheduler"].state_dict()
    del earlier["lr_lambdas"][0]["cycle"]  # of a checkpoint before there were cycles
    other[0]["scheduler"].load_state_dict(earlier)


def test_a_plateau_of_a_metric_that_is_none_is_refused():
    with pytest.raises(UserError, match="val/frame/auroc"):
        tiny.fit(tiny.detector(scheduler=_plateau(0) | {"monitor": "val/frame/auc"}))


@pytest.mark.parametrize("value", [0, 1.5, -1])
def test_a_decay_that_is_none_is_refused(value):
    with pytest.raises(UserError, match="layer_decay"):
        build_optimizer(tiny.TinyNet(), tiny.SGD | {"layer_decay": value})
