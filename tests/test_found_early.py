"""What a config has wrong is said before weights are fetched, data looked at or loggers opened; nothing is left."""

import errno
import logging
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from addnet import run_folders
from addnet.config import build, compose
from addnet.errors import UserError
from addnet.run_folders import NoteRunFolder, remove_unused
from addnet.signatures import check_arguments
from addnet.surroundings import in_words, require_writable
from addnet.train import train
from trainings import run

pytestmark = pytest.mark.slow

WRONG = [
    ("optimizer.lr=fast", "optimizer.lr='fast' must be a number"),
    ("optimizer.lr=null", "optimizer.lr=None must be a number"),
    ("optimizer.layer_decay=a", "optimizer.layer_decay='a' must be a number or null"),
    ("optimizer.name=adan_of_mine", "optimizer.name='adan_of_mine' is unknown"),
    ("scheduler.name=cosine", "scheduler.name=cosine needs scheduler.warmup_epochs; use scheduler=cosine"),
    ("scheduler=onecycle scheduler.warmup=3", "scheduler.warmup=3 of onecycle is a share"),
    ("scheduler=plateau scheduler.factor=2", "plateau rejects its settings"),
    ("scheduler=plateau scheduler.monitor=val/frame/aurocc", "val/frame/aurocc is not a validation metric"),
    ("scheduler=cosine trainer.max_epochs=-1", "cosine needs the length of the training"),
    ("callbacks.best.monitor=val/auroc", "BestCheckpoint.monitor=val/auroc is not a validation metric"),
    ("loss=focal loss.gamma=much", "loss.gamma='much' must be a number"),
    ("loss.name=focall", "loss.name='focall' is unknown; choose one of: cross_entropy, focal"),
    ("loss.uniformity=-1", "loss.uniformity=-1 must be a number of at least 0; 0.5 is usual"),
    ("loss.guide=1 mask.parts=[]", "loss.guide=1 can't be combined with mask.parts=[]: masks of ones have no outside"),
    ("loss.guide=1 model=timm model.backbone=test_vit data.image_size=64", "test_vit at 64 pixels: it doesn't average"),
    ("optimizer.sam_rho=0", "optimizer.sam_rho=0 must be a number above 0; 0.05 is usual"),
    ("optimizer.sam_rho=0.1 trainer.accumulate_grad_batches=2", "combined with trainer.accumulate_grad_batches=2"),
    ("scheduler.name=cosin", "scheduler.name='cosin' is unknown; choose one of: none, cosine, onecycle, plateau"),
    ("scheduler=cosine scheduler.cycle_epochs=0", "scheduler.cycle_epochs=0 must be a number above 0"),
    ("model.head=round", "model.head='round' is unknown; choose one of: linear, cosine"),
    ("average_epochs=2 ema_decay=0.9", "ema_decay=0.9 and average_epochs=2 exclude each other; use one of them"),
    ("average_epochs=2 trainer.max_steps=9", "trainer.max_steps=9 may end the training before them"),
    ("average_epochs=4 trainer.max_epochs=3", "average_epochs=4 is more than trainer.max_epochs=3"),
    ("ema_decay=slow", "ema_decay='slow' must be a number"),
    ("decision.max_fpr=2", "decision.max_fpr=2 must lie in [0, 1), such as 0.02"),
    ("model.drop_rate=half", "model.drop_rate='half' must be a number"),
    ("model=bandpass model.kernel_size=7.5", "model.kernel_size=7.5 must be a whole number"),
    ("model.placement=blok1", "placement='blok1' is unknown"),
    ("data.image_size=[299,224]", "data.image_size=[299, 224] must be a whole number"),
    ("data.image_size=64x64", "data.image_size='64x64' must be a whole number"),
    ("data.image_size=63.5", "data.image_size=63.5 must be a whole number"),
    ("data.num_workers=-1", "data.num_workers=-1 must be at least 0"),
    ("data.align=no", "data.align='no' must be true or false"),
    ("data.val_fraction=1.5", "data.val_fraction=1.5 must be in"),
    ("augment.flip=often", "augment.flip='often' must be a number"),
    ("augment=harsh augment.degrade.jpeg.p=2", "augment.degrade.jpeg.p=2 is not valid; use a probability in [0, 1]"),
    (
        "augment=screen augment.degrade.moire.period=[4,0]",
        "moire.period=[4, 0] is not a range; use two numbers",
    ),
    ("test=no", "test='no' must be true or false"),
    ("seed=abc", "seed='abc' must be a whole number"),
    ("trainer.max_epochs=ten", "trainer.max_epochs='ten' must be a whole number or null"),
    ("trainer.limit_train_batches=some", "trainer.limit_train_batches='some' must be"),
    ("callbacks.early_stopping.patience=a", "callbacks.early_stopping.patience='a' must be a whole number"),
    ("logger.comet.offline=maybe", "logger.comet.offline='maybe' must be true or false or null"),
    ("logger=mlflow", "logger=mlflow needs a package that isn't installed: run pip install 'addnet[mlflow]'"),
    ("ckpt_path=nowhere.ckpt", "ckpt_path=nowhere.ckpt: no such file"),
]


@pytest.mark.parametrize(("overrides", "told"), WRONG, ids=[overrides for overrides, _ in WRONG])
def test_a_wrong_value_is_told_before_data_weights_and_loggers(overrides, told, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    cfg = compose(["data.data_dir=/nope", f"paths.output_dir={tmp_path}/run", *overrides.split()])
    with pytest.raises(UserError) as caught:
        train(cfg)
    assert told in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_data_that_is_not_there_is_told_before_weights_are_fetched(tmp_path):
    with pytest.raises(UserError, match=r"/nope: no such folder"):
        train(compose(["data.data_dir=/nope", "model.weights=/neither", f"paths.output_dir={tmp_path}/run"]))
    with pytest.raises(UserError, match=r"data\.index=/nope\.parquet: no such file"):
        train(compose(["data=index", "data.index=/nope.parquet", f"paths.output_dir={tmp_path}/run"]))


def test_every_default_is_of_the_kind_that_its_constructor_names():
    for overrides in (["data=synthetic"], ["data=index"], ["augment=strong"], ["mask=organs_only"], ["trainer=ddp"]):
        cfg = compose(["data.data_dir=x", "data.index=x", *overrides])
        build(cfg.data)
        check_arguments(build.__globals__["hydra"].utils.get_object(cfg.trainer._target_), dict(cfg.trainer))


# ---- the folder of a command -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run folder that this command has made, with what Hydra writes there."""
    monkeypatch.setattr(run_folders, "_made", [])
    monkeypatch.delenv("ADDNET_RUN", raising=False)
    made = tmp_path / "run"
    NoteRunFolder().on_run_start(_single(made))
    (made / ".hydra").mkdir()
    (made / ".hydra" / "config.yaml").touch()
    (made / "result.json").touch()
    handler = logging.FileHandler(made / "train.log")
    logging.root.addHandler(handler)
    yield made
    logging.root.removeHandler(handler)
    handler.close()


def _single(folder, **job):
    return OmegaConf.create({"hydra": {"run": {"dir": str(folder)}, "job": {"num": "???"} | job}})


def test_the_folder_of_a_command_that_did_nothing_is_removed(folder):
    remove_unused()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["skipped.csv", "checkpoints/last.ckpt", "notes.txt", "other.log"])
def test_a_folder_that_holds_anything_else_stays(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    remove_unused()
    assert (folder / name).exists()
    assert (folder / "train.log").exists()


def test_a_folder_that_was_there_before_stays_and_so_do_those_of_a_sweep_s_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folders, "_made", [])
    for config in (_single(tmp_path), _single(tmp_path / "job", num=0)):
        NoteRunFolder().on_run_start(config)
    (tmp_path / "job").mkdir(exist_ok=True)
    remove_unused()
    assert (tmp_path / "job").exists()


def test_a_folder_that_several_processes_share_is_left_to_them(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folders, "_made", [])
    monkeypatch.setenv("ADDNET_RUN", "shared")
    NoteRunFolder().on_run_start(_single(tmp_path / "shared"))
    remove_unused()
    assert (tmp_path / "shared").exists()


def test_a_run_folder_that_can_t_be_made_is_told_in_a_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        NoteRunFolder().on_run_start(_single(tmp_path / "file" / "run"))
    assert "the run folder can't be created: " in capsys.readouterr().err
    with pytest.raises(UserError, match=r"paths\.index_dir=.* can't be a folder: .*file is a file"):
        require_writable("paths.index_dir", tmp_path / "file" / "index")


def test_a_command_that_fails_early_ends_in_a_sentence_and_leaves_no_folder(data_dir, tmp_path):
    folder, output = run(data_dir, tmp_path, "optimizer.lr=abc", "logger=csv", code=1)
    assert folder is None
    assert "optimizer.lr='abc' must be a number" in output
    assert "Traceback" not in output


# ---- what surrounds a program ------------------------------------------------------------------------------

NO_SHARED_MEMORY = [
    "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File ...\n"
    "RuntimeError: unable to allocate shared memory(shm) for file </torch_2_3_1>: No space left on device (28)\n",
    "DataLoader worker (pid 12) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
    "shared memory. Please try to raise your shared memory limit.",
]


@pytest.mark.parametrize("text", NO_SHARED_MEMORY)
def test_little_shared_memory_is_told_with_both_ways_out(text):
    told = in_words(RuntimeError(text))
    assert "data.num_workers=0" in told
    assert "--shm-size" in told


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_what_can_t_be_written_is_told_with_its_path(code):
    outer = RuntimeError("while writing")
    outer.__cause__ = OSError(code, "reason", "/place/file")
    assert in_words(outer).startswith("/place/file: reason; ")
    assert in_words(OSError(code, "reason")) == in_words(ValueError("x")) == ""
    assert Path("/place").exists() is False
