"""A frozen backbone stays bit for bit as it is, whatever the optimiser, and learns afterwards as if never frozen."""

import copy
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

import tiny
from addnet.errors import UserError
from addnet.models import MODELS, create_model
from addnet.training.callbacks import FreezeBackbone


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)


class Recorder(pl.Callback):
    """Backbone and head at the end of each epoch, and whether the backbone asked for gradients."""

    def __init__(self):
        self.backbones, self.heads, self.asked = [], [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.asked.append(all(p.requires_grad for p in pl_module.net.backbone.parameters()))

    def on_train_epoch_end(self, trainer, pl_module):
        self.backbones.append(copy.deepcopy(pl_module.net.backbone.state_dict()))
        self.heads.append(pl_module.net.head.weight.detach().clone())


def _same(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


def test_it_waits_for_the_epochs_and_then_learns():
    recorder, module = Recorder(), tiny.detector(freeze_backbone_epochs=2)
    start = copy.deepcopy(module.net.state_dict())
    tiny.fit(module, callbacks=[recorder], max_epochs=3)
    first, second, third = recorder.backbones
    assert _same(first, {key: start[f"backbone.{key}"] for key in first})  # decay, statistics and counts as well
    assert _same(first, second)
    assert not any(torch.equal(third[key], first[key]) for key in third)
    assert not torch.equal(recorder.heads[0], start["head.weight"])
    assert recorder.asked == 10 * [False] + 5 * [True]


def test_nothing_is_frozen_by_default():
    recorder, module = Recorder(), tiny.detector()
    tiny.fit(module, callbacks=[recorder], max_epochs=1)
    assert all(recorder.asked)


@pytest.mark.parametrize("steps", [3, 7])
def test_a_run_resumed_within_an_epoch_knows_whether_it_is_frozen(tmp_path, steps):
    saver = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, every_n_train_steps=1)
    arguments = {"freeze_backbone_epochs": 1}
    tiny.fit(tiny.detector(**arguments), callbacks=[saver], enable_checkpointing=True)
    saved = torch.load(tmp_path / f"step={steps}.ckpt", weights_only=True)
    recorder = Recorder()
    tiny.fit(tiny.detector(**arguments), callbacks=[recorder], ckpt_path=tmp_path / f"step={steps}.ckpt")
    before = {k.removeprefix("net.backbone."): v for k, v in saved["state_dict"].items() if "backbone" in k}
    assert recorder.asked[0] == (steps > 5)
    assert _same(recorder.backbones[0], before) == (steps < 5)


def test_among_several_processes_weights_stay_known_to_ddp_and_lose_their_gradients():
    module, callback = tiny.detector(), FreezeBackbone(1)
    trainer = SimpleNamespace(current_epoch=0, world_size=2)
    callback.on_train_batch_start(trainer, module, None, 0)
    assert not any(layer.training for layer in module.net.backbone.modules())
    module(torch.randn(4, 3, 16, 16), torch.ones(4, 1, 16, 16)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.net.parameters())
    callback.on_before_optimizer_step(trainer, module, None)
    assert all(parameter.grad is None for parameter in module.net.backbone.parameters())
    assert all(parameter.grad is not None for parameter in module.net.head.parameters())
    trainer.current_epoch = 1
    callback.on_train_batch_start(trainer, module, None, 0)
    assert all(layer.training for layer in module.net.backbone.modules())


def test_mix_amounts_and_sigmas_lie_outside_of_the_backbone():
    net = create_model("bandpass", combine="mix")
    apart = {name.split(".")[0] for name, _ in net.named_parameters() if not name.startswith("backbone.")}
    assert apart == {"bandpass", "add_blocks", "head"}


def test_the_optimiser_has_every_weight_after_a_training_that_was_interrupted():
    module = tiny.detector(freeze_backbone_epochs=5)
    module.net.backbone.requires_grad_(False)
    trainer = tiny.fit(module, max_epochs=1)
    assert sum(len(group["params"]) for group in trainer.optimizers[0].param_groups) == len(list(module.parameters()))


@pytest.mark.parametrize("epochs", [-1, 0.5])
def test_epochs_that_are_none_are_refused(epochs):
    with pytest.raises(UserError, match="freeze_backbone_epochs"):
        tiny.detector(freeze_backbone_epochs=epochs)
