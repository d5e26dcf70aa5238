"""The average is what is validated, tested and stored; a resumed run has both it and the weights, bit for bit."""

import copy

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

import tiny
from addnet.errors import UserError
from addnet.models import MODELS
from addnet.training import DeepfakeDetector
from addnet.training.callbacks import WeightAverage

DECAY = 0.8


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)


class Recorder(pl.Callback):
    """Keeps the weights after every optimiser step, and those that validation sees."""

    def __init__(self):
        self.steps, self.validated = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step > len(self.steps):
            self.steps.append(copy.deepcopy(pl_module.net.state_dict()))

    def on_validation_batch_start(self, trainer, pl_module, *_):
        if not trainer.sanity_checking:
            self.validated.append(copy.deepcopy(pl_module.net.state_dict()))


def _saver(folder, **arguments):
    return ModelCheckpoint(folder, filename="{step}", save_top_k=-1, **arguments)


def _averages(states):
    mean = copy.deepcopy(states[0])
    yield mean
    for state in states[1:]:
        mean = {k: DECAY * mean[k] + (1 - DECAY) * v if v.is_floating_point() else v for k, v in state.items()}
        yield mean


def test_the_weights_learn_as_without_it():
    plain, averaged = (Recorder() for _ in range(2))
    tiny.fit(tiny.detector(), callbacks=[plain])
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[averaged])
    for one, other in zip(plain.steps, averaged.steps, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_validation_and_the_end_see_the_average_over_optimiser_steps(accumulate):
    recorder, module = Recorder(), tiny.detector(ema_decay=DECAY)
    tiny.fit(module, callbacks=[recorder], accumulate_grad_batches=accumulate)
    means = list(_averages(recorder.steps))
    per_epoch = -(-5 // accumulate)
    assert len(means) == 2 * per_epoch
    for validated, mean in zip(recorder.validated[::3], means[per_epoch - 1 :: per_epoch], strict=True):
        torch.testing.assert_close(validated, dict(mean))
    torch.testing.assert_close(dict(module.net.state_dict()), dict(means[-1]))
    assert not torch.equal(means[-1]["head.weight"], recorder.steps[-1]["head.weight"])


def test_a_checkpoint_is_an_ordinary_one_and_gives_the_metrics_of_validation(tmp_path):
    module = tiny.detector(ema_decay=DECAY)
    trainer = tiny.fit(module, callbacks=[_saver(tmp_path)], enable_checkpointing=True)
    told = trainer.callback_metrics["val/frame/loss"]
    again = DeepfakeDetector.load_from_checkpoint(tmp_path / "step=10.ckpt", weights_only=True)
    alone = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    loader = DataLoader(tiny.Images(12), batch_size=4)
    (metrics,) = alone.validate(again, loader, verbose=False)
    assert metrics["val/frame/loss"] == pytest.approx(float(told), abs=1e-6)
    (tested,) = trainer.test(module, loader, ckpt_path=tmp_path / "step=10.ckpt", weights_only=True, verbose=False)
    assert tested["test/frame/loss"] == pytest.approx(float(told), abs=1e-6)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole, resumed = (_saver(tmp_path / name, every_n_train_steps=1) for name in ("whole", "resumed"))
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[whole], enable_checkpointing=True)
    path = tmp_path / "whole" / "step=5.ckpt"
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[resumed], ckpt_path=path, enable_checkpointing=True)
    one, other = (torch.load(tmp_path / run / "step=10.ckpt", weights_only=True) for run in ("whole", "resumed"))
    _same(one["state_dict"], other["state_dict"])
    _same(one["weight_average"]["weights"], other["weight_average"]["weights"])
    assert one["weight_average"]["updates"] == other["weight_average"]["updates"] == 10


def test_both_are_taken_up_within_an_epoch_too(tmp_path):
    saver, start = _saver(tmp_path, every_n_train_steps=1), _Start()
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[saver], enable_checkpointing=True)
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[start], ckpt_path=tmp_path / "step=7.ckpt")
    saved = torch.load(tmp_path / "step=7.ckpt", weights_only=True)
    _same(start.weights, saved["weight_average"]["weights"])
    _same(start.average, {key.removeprefix("net."): value for key, value in saved["state_dict"].items()})


class _Start(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, *_):
        if not hasattr(self, "weights"):
            (callback,) = [c for c in trainer.callbacks if isinstance(c, WeightAverage)]
            self.weights = copy.deepcopy(pl_module.net.state_dict())
            self.average = copy.deepcopy(callback._average.module.state_dict())


def _same(one, other):
    assert list(one) == list(other)
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


class _SaveInValidation(pl.Callback):
    def __init__(self, file):
        self.file = file

    def on_validation_batch_end(self, trainer, *_):
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.file)


def test_a_checkpoint_from_within_validation_holds_the_same(tmp_path):
    savers = [_SaveInValidation(tmp_path / "within.ckpt"), _saver(tmp_path)]
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=savers, enable_checkpointing=True)
    one, other = (torch.load(tmp_path / name, weights_only=True) for name in ("within.ckpt", "step=10.ckpt"))
    _same(one["state_dict"], other["state_dict"])
    _same(one["weight_average"]["weights"], other["weight_average"]["weights"])


def test_a_run_without_an_average_can_go_on_with_one(tmp_path):
    tiny.fit(tiny.detector(), callbacks=[_saver(tmp_path)], max_epochs=1, enable_checkpointing=True)
    start = _Start()
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[start], ckpt_path=tmp_path / "step=5.ckpt")
    _same(start.average, start.weights)


def test_a_run_that_gives_it_up_goes_on_with_the_weights_that_learnt(tmp_path):
    plain, averaged = Recorder(), Recorder()
    tiny.fit(tiny.detector(), callbacks=[plain])
    saver = _saver(tmp_path)
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[saver], max_epochs=1, enable_checkpointing=True)
    tiny.fit(tiny.detector(), callbacks=[averaged], ckpt_path=tmp_path / "step=5.ckpt")
    _same(plain.steps[-1], averaged.steps[-1])


@pytest.mark.parametrize("decay", [0, 1.0, -0.1])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(UserError, match="ema_decay"):
        tiny.detector(ema_decay=decay)


# ---- of the last epochs ------------------------------------------------------------------------------------


def _mean(states):
    mean = {key: torch.stack([state[key] for state in states]).double().mean(dim=0) for key in states[0]}
    return {key: mean[key].to(value.dtype) if value.is_floating_point() else value for key, value in states[-1].items()}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_mean_of_the_last_epochs_is_validated_and_left_at_the_end(accumulate):
    recorder, module = Recorder(), tiny.detector(average_epochs=2)
    how = {"max_epochs": 4, "accumulate_grad_batches": accumulate}
    tiny.fit(module, callbacks=[recorder], val_check_interval=4 if accumulate == 2 else 5, **how)
    steps = -(-5 // accumulate)
    ends = recorder.steps[steps - 1 :: steps]
    if accumulate == 1:
        expected = [ends[0], ends[1], ends[2], _mean(ends[2:])]
        for validated, mean in zip(recorder.validated[::3], expected, strict=True):
            torch.testing.assert_close(dict(validated), dict(mean))
    torch.testing.assert_close(dict(module.net.state_dict()), _mean(ends[2:]))


def test_before_the_last_epochs_validation_within_an_epoch_sees_the_weights_as_they_are():
    recorder = Recorder()
    tiny.fit(tiny.detector(average_epochs=2), callbacks=[recorder], max_epochs=3, val_check_interval=2)
    seen, steps = recorder.validated[::3], recorder.steps
    within = [1, 3, 6, 8]  # steps at which it was validated before an epoch counted: 2 and 4 of the first two
    for number, step in enumerate(within):
        torch.testing.assert_close(dict(seen[number]), dict(steps[step]))
    for later in seen[4:]:  # the end of the second, until the third has ended
        torch.testing.assert_close(dict(later), dict(steps[9]))


def test_a_resumed_mean_of_epochs_equals_an_uninterrupted_one(tmp_path):
    how = {"enable_checkpointing": True, "max_epochs": 3}
    whole = _saver(tmp_path / "whole", every_n_train_steps=1)
    tiny.fit(tiny.detector(average_epochs=2), callbacks=[whole], **how)
    for step in (5, 10):  # before the first of them, and after it
        path = tmp_path / "whole" / f"step={step}.ckpt"
        resumed = _saver(tmp_path / f"from {step}", every_n_train_steps=1)
        tiny.fit(tiny.detector(average_epochs=2), callbacks=[resumed], ckpt_path=path, **how)
        one, other = (
            torch.load(tmp_path / run / "step=15.ckpt", weights_only=True) for run in ("whole", f"from {step}")
        )
        _same(one["state_dict"], other["state_dict"])
        assert one["weight_average"]["updates"] == other["weight_average"]["updates"] == 2


def test_a_mean_of_another_kind_starts_anew(tmp_path):
    tiny.fit(tiny.detector(ema_decay=DECAY), callbacks=[_saver(tmp_path)], max_epochs=1, enable_checkpointing=True)
    recorder, module = Recorder(), tiny.detector(average_epochs=2)
    tiny.fit(module, callbacks=[recorder], max_epochs=3, ckpt_path=tmp_path / "step=5.ckpt")
    taken = recorder.steps[-10:]
    torch.testing.assert_close(dict(module.net.state_dict()), _mean([taken[4], taken[9]]))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"average_epochs": 1}, "average_epochs=1 must be a whole number of at least 2"),
        ({"average_epochs": 2.5}, "average_epochs=2.5 must be a whole number"),
        ({"average_epochs": True}, "average_epochs=True must be a whole number"),
        ({"average_epochs": 2, "ema_decay": 0.9}, "exclude each other; use one of them"),
    ],
)
def test_means_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        tiny.detector(**wrong)


@pytest.mark.parametrize("epochs", [2, -1])
def test_more_epochs_than_there_are_and_trainings_without_an_end_are_refused(epochs):
    with pytest.raises(UserError, match=rf"average_epochs=3 is more than trainer.max_epochs={epochs}"):
        tiny.fit(tiny.detector(average_epochs=3), max_epochs=epochs)
