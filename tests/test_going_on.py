"""A run that goes on finds its best wherever its folder lies now, keeps its schedule, and says when nothing is left."""

import shutil

import pytest
import torch

import tiny
from addnet.config import compose, plain
from addnet.errors import UserError
from addnet.models import MODELS
from addnet.train import find_checkpoint, fit_and_test
from addnet.training.callbacks import BestCheckpoint, LastCheckpoint
from addnet.training.checkpoints import check_continues, nothing_left

pytestmark = pytest.mark.slow

MONITOR = "val/frame/auroc"
COSINE = {"name": "cosine", "warmup_epochs": 1.0, "min_lr_factor": 0.01}
ONECYCLE = {"name": "onecycle", "warmup": 0.3}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)


class Stop(tiny.pl.Callback):
    """Ends training after its first epoch."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


def _fit(run_dir, *, ckpt_path=None, scheduler=None, stop=False, **arguments):
    """Trains in a run folder; returns the callback that keeps the best."""
    folder = run_dir / "checkpoints"
    best = BestCheckpoint(folder, filename="best", monitor=MONITOR, mode="max", enable_version_counter=False)
    callbacks = [best, LastCheckpoint(str(folder)), *([Stop()] if stop else [])]
    options = {"enable_checkpointing": True, "callbacks": callbacks, "ckpt_path": ckpt_path, "max_epochs": 1}
    tiny.fit(tiny.detector(scheduler=scheduler), **(options | arguments))
    return best


def _with_best(path, score):
    """Changes the metric that a checkpoint remembers as the best so far."""
    checkpoint = torch.load(path, weights_only=True)
    (state,) = (state for name, state in checkpoint["callbacks"].items() if name.startswith("BestCheckpoint"))
    state["best_model_score"] = state["kth_value"] = torch.tensor(score)
    state["best_k_models"] = {key: torch.tensor(score) for key in state["best_k_models"]}
    torch.save(checkpoint, path)


# ---- the best of a run whose folder was renamed ------------------------------------------------------------


def test_a_renamed_run_keeps_its_best_against_a_worse_epoch(tmp_path):
    _fit(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    last = tmp_path / "after" / "checkpoints" / "last.ckpt"
    _with_best(last, 1.5)  # no later epoch can be better
    kept = (last.parent / "best.ckpt").read_bytes()
    best = _fit(tmp_path / "after", ckpt_path=str(last), max_epochs=2)
    assert best.best_model_path == str(last.parent / "best.ckpt")
    assert float(best.best_model_score) == 1.5
    assert (last.parent / "best.ckpt").read_bytes() == kept
    assert not best.lost


def test_a_copy_goes_on_from_its_own_best_and_not_from_that_of_the_original(tmp_path):
    _fit(tmp_path / "before")
    shutil.copytree(tmp_path / "before", tmp_path / "copy")
    best = _fit(tmp_path / "copy", ckpt_path=str(tmp_path / "copy" / "checkpoints" / "last.ckpt"))
    assert best.best_model_path == str(tmp_path / "copy" / "checkpoints" / "best.ckpt")


def test_a_run_that_went_on_in_a_new_folder_finds_the_best_of_the_old_one_after_both_were_moved(tmp_path):
    _fit(tmp_path / "runs" / "one")
    last = tmp_path / "runs" / "one" / "checkpoints" / "last.ckpt"
    _with_best(last, 1.5)
    _fit(tmp_path / "runs" / "two", ckpt_path=str(last), max_epochs=2)
    (tmp_path / "runs").rename(tmp_path / "moved")
    best = _fit(
        tmp_path / "three", ckpt_path=str(tmp_path / "moved" / "two" / "checkpoints" / "last.ckpt"), max_epochs=2
    )
    assert best.best_model_path == str(tmp_path / "moved" / "one" / "checkpoints" / "best.ckpt")


def test_a_best_checkpoint_that_is_gone_is_told_and_the_last_weights_are_not_tested_in_its_place(tmp_path, caplog):
    _fit(tmp_path)
    last, gone = tmp_path / "checkpoints" / "last.ckpt", tmp_path / "checkpoints" / "best.ckpt"
    gone.unlink()
    options = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu", "max_epochs": 1}
    best = BestCheckpoint(gone.parent, filename="best", monitor=MONITOR, mode="max")
    trainer = tiny.pl.Trainer(callbacks=[best, LastCheckpoint(str(gone.parent))], **options)
    cfg = compose(["model.pretrained=false", f"ckpt_path={last}", f"paths.output_dir={tmp_path}"])
    with pytest.raises(UserError, match=f"nothing was tested: .*{gone} does not exist") as caught:
        fit_and_test(cfg, trainer, tiny.detector(), tiny.Loaders())
    assert f"train=false ckpt_path={last}" in str(caught.value)
    assert f"is missing: {gone} does not exist" in caplog.text


def test_the_metrics_of_a_moved_run_s_last_test_are_not_mistaken_for_its_best(tmp_path):
    _fit(tmp_path)
    best = BestCheckpoint(tmp_path, filename="best", monitor=MONITOR, mode="max")
    trainer = tiny.pl.Trainer(callbacks=[best], logger=False, enable_progress_bar=False, accelerator="cpu")
    last = tmp_path / "checkpoints" / "last.ckpt"
    trainer.test(tiny.detector(), tiny.Loaders(), ckpt_path=last, weights_only=True, verbose=False)
    assert best.best_model_path == ""


# ---- schedules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", [COSINE, ONECYCLE, COSINE | {"warmup_epochs": 0}], ids=lambda s: s["name"])
@pytest.mark.parametrize("longer", [{"max_epochs": 3}, {"batch_size": 2}], ids=["epochs", "smaller batches"])
def test_a_schedule_that_was_made_for_other_steps_is_refused_in_words(tmp_path, scheduler, longer):
    _fit(tmp_path, scheduler=scheduler, max_epochs=2, stop=True)
    last = str(tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(UserError, match=r"restores a schedule of 10 steps, but this training has (15|20)"):
        _fit(tmp_path, scheduler=scheduler, ckpt_path=last, **({"max_epochs": 2} | longer))


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
@pytest.mark.parametrize("length", ["trainer.max_epochs=20", "trainer.max_steps=50"])
def test_more_epochs_than_the_schedule_was_made_for_are_refused_before_anything_is_prepared(name, length):
    before, now = (plain(compose([f"scheduler={name}", *more])) for more in ([], [length]))
    with pytest.raises(UserError, match=rf"scheduler={name} .*{length.split('=')[0]} was .*model.weights=last.ckpt"):
        check_continues(before, now, path="last.ckpt")
    check_continues(before, before, path="last.ckpt")


@pytest.mark.parametrize("name", ["none", "plateau"])
def test_schedules_without_an_end_go_on_for_more_epochs(name):
    before, now = (plain(compose([f"scheduler={name}", *more])) for more in ([], ["trainer.max_epochs=200"]))
    check_continues(before, now, path="last.ckpt")


@pytest.mark.parametrize("scheduler", [COSINE, ONECYCLE], ids=lambda s: s["name"])
def test_a_schedule_that_goes_on_leads_to_the_same_rates(tmp_path, scheduler):
    last = {name: tmp_path / name / "checkpoints" / "last.ckpt" for name in ("whole", "halves")}
    _fit(tmp_path / "whole", scheduler=scheduler, max_epochs=2)
    _fit(tmp_path / "halves", scheduler=scheduler, max_epochs=2, stop=True)
    _fit(tmp_path / "halves", scheduler=scheduler, max_epochs=2, ckpt_path=str(last["halves"]))
    whole, halves = (torch.load(path, weights_only=True)["lr_schedulers"] for path in last.values())
    assert whole == halves


# ---- nothing left ------------------------------------------------------------------------------------------


def _left(checkpoint, *, max_epochs, max_steps=-1):
    return nothing_left(checkpoint, max_epochs=max_epochs, max_steps=max_steps, path="last.ckpt")


def test_a_finished_run_says_that_nothing_is_left_to_train(tmp_path, caplog):
    checkpoint = {"resume": {"epoch": 2}, "global_step": 10}
    assert "has completed all epochs of trainer.max_epochs=2" in _left(checkpoint, max_epochs=2)
    assert "has completed 10 steps, and trainer.max_steps=10" in _left(checkpoint, max_epochs=9, max_steps=10)
    assert not any(_left(checkpoint, max_epochs=epochs) for epochs in (3, -1, None))
    path = tmp_path / "last.ckpt"
    torch.save(checkpoint | {"addnet": {"format": 1}, "state_dict": {}}, path)
    with pytest.raises(
        UserError, match=r"has completed 2 epochs, more than trainer\.max_epochs=1.*train=false ckpt_path="
    ):
        find_checkpoint(compose(["trainer.max_epochs=1", f"ckpt_path={path}"]))
    find_checkpoint(compose(["trainer.max_epochs=2", f"ckpt_path={path}"]))
    assert "nothing is left to train" in caplog.text
    assert "its best checkpoint is tested" in caplog.text
