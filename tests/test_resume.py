"""A run that was stopped anywhere and resumed equals one that was not, bit for bit; real processes, real signals."""

import json
import re
import signal
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch

import warm
from addnet.checkpoints.file import read_checkpoint
from addnet.config import compose
from addnet.errors import UserError
from addnet.train import find_checkpoint
from addnet.training import DeepfakeDetector
from addnet.training.callbacks import BestCheckpoint
from addnet.training.checkpoint_io import AtomicCheckpointIO
from trainings import SMALL, differences, fault, last, rows, run

pytestmark = pytest.mark.slow

# of a convolutional network of timm; test_levers_together.py has Xception
# everything that could make a difference: workers, blends, pairs, damage, accumulation, a schedule that looks at
# metrics, averaged weights
HARD = [
    "model=timm",
    "model.backbone=test_resnet",
    "model.front=bandpass",
    "model.kernel_size=7",
    "data.batch_size=4",
    "data.num_workers=2",
    "data.fakes=mixed",
    "data.batch=pairs",
    "data.val_fakes=mixed",
    "augment=harsh",
    "augment.rotation=10",
    "scheduler=plateau",
    "scheduler.patience=0",
    "scheduler.warmup_epochs=1",
    "augment.mask_dropout=0.2",
    "ema_decay=0.9",
    "freeze_backbone_epochs=1",
    "trainer.accumulate_grad_batches=2",
    "trainer.max_epochs=3",
    "callbacks.sample_sheet=null",
    "callbacks.bandpass.every_n_epochs=3",
    "test=false",
    "logger=csv",
]


@pytest.fixture(scope="module")
def whole(data_dir, tmp_path_factory):
    """The run that nothing interrupted; cold, so that it has another hash seed than those compared with it."""
    return run(data_dir, tmp_path_factory.mktemp("whole"), *HARD, cold=True)[0]


@pytest.fixture(scope="module")
def whole_two(data_dir, tmp_path_factory):
    """The same on two processes."""
    return run(data_dir, tmp_path_factory.mktemp("whole_two"), *HARD, "trainer.devices=2")[0]


def _equal(one, other):
    here, there = last(one), last(other)
    here["addnet"]["config"] = there["addnet"]["config"] = None  # names its own checkpoint and folder
    assert list(differences(here, there)) == []
    assert here["global_step"] > 0
    assert rows(one) == rows(other)


def test_the_best_checkpoint_is_remembered_whole(tmp_path):
    one, other = (BestCheckpoint(tmp_path, monitor="val/frame/auroc", mode="max") for _ in range(2))
    one.best_model_path = str(tmp_path / "best.ckpt")
    one.best_model_score, one.current_score = torch.tensor(0.75), torch.tensor(0.5)
    (tmp_path / "best.ckpt").touch()
    other.load_state_dict(one.state_dict())
    assert other.state_dict() == one.state_dict()


def test_the_same_seed_gives_the_same_run(whole, data_dir, tmp_path):
    _equal(whole, run(data_dir, tmp_path, *HARD)[0])


@pytest.mark.parametrize(
    ("stop", "code", "position"),
    [
        (fault("kill", 1, 5), -signal.SIGKILL, (1, 4)),  # the checkpoint within the epoch is older than the kill
        (fault("kill", 2, 0), -signal.SIGKILL, (2, 0)),
        (fault("term", 1, 2), 128 + signal.SIGTERM, (1, 4)),  # waits until gradients are no longer half gathered
        (fault("error", 0, 6), 1, (0, 4)),
    ],
    ids=["killed in mid-epoch", "killed after an epoch", "SIGTERM", "exception"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(whole, data_dir, tmp_path, stop, code, position):
    often = "callbacks.last.every_n_steps=2"
    folder, output = run(data_dir, tmp_path / "stopped", *HARD, stop, often, code=code)
    checkpoint = last(folder)
    assert (checkpoint["resume"]["epoch"], checkpoint["resume"]["batch"]) == position
    newest = folder / "checkpoints" / "last.ckpt"
    assert code != 143 or f"continue with ckpt_path={newest}" in output
    began = time.monotonic()
    resumed, told = run(data_dir, tmp_path / "resumed", *HARD, f"ckpt_path={newest}")
    _equal(whole, resumed)
    minutes, seconds = re.search(r"epoch \d/3: .*, (\d+):(\d\d)$", told, re.MULTILINE).groups()
    assert 60 * int(minutes) + int(seconds) <= time.monotonic() - began  # since the resume


def test_two_processes_resume_exactly_and_in_the_same_folder(whole_two, data_dir, tmp_path):
    how = {"env": {"ADDNET_RUN": "mine"}}
    two = [*HARD, "trainer.devices=2", "ckpt_path=auto"]
    run(data_dir, tmp_path, *two, fault("term", 0, 1), code=143, **how)
    run(data_dir, tmp_path, *two, fault("term", 1, 3), code=143, **how)
    folder, _ = run(data_dir, tmp_path, *two, **how)
    _equal(whole_two, folder)
    assert len(list(Path(tmp_path).rglob("last.ckpt"))) == 1


def test_within_an_epoch_another_number_of_processes_is_refused_in_words(data_dir, tmp_path):
    folder, _ = run(data_dir, tmp_path / "stopped", *HARD, fault("term", 0, 1), code=143)
    arguments = [*HARD, f"ckpt_path={folder}/checkpoints/last.ckpt", "data.batch_size=8"]
    _, output = run(data_dir, tmp_path / "resumed", *arguments, code=1)
    assert "1 process with data.batch_size=4; 1 with data.batch_size=8 can't resume from there" in output
    assert "Traceback" not in output


def test_a_checkpoint_tells_everything_in_plain_values(whole):
    checkpoint = last(whole)
    assert checkpoint["addnet"]["format"] == 1
    assert checkpoint["addnet"]["config"]["model"]["kernel_size"] == 7
    assert set(checkpoint["resume"]["processes"][0]["random"]) == {"python", "numpy", "torch", "cuda"}
    code = "import sys, torch; print(torch.load(sys.argv[1], weights_only=True)['epoch'])"
    command = [sys.executable, "-c", code, str(whole / "checkpoints" / "last.ckpt")]
    assert warm.run(command).strip() == "3"


def test_another_architecture_names_the_keys(whole, data_dir, tmp_path):
    arguments = [*HARD, f"ckpt_path={whole}/checkpoints/last.ckpt", "model.combine=mix", "model.mode=concat"]
    _, output = run(data_dir, tmp_path, *arguments, code=1)
    assert "net.add_blocks.layer1.amount" in output
    assert "net.backbone.conv1.0.weight (16, 3, 3, 3) instead of (16, 6, 3, 3)" in output


def test_settings_that_a_checkpoint_brings_back_cannot_be_changed_on_the_way(whole, data_dir, tmp_path, caplog):
    small = [o for o in [*SMALL, *HARD, f"data.data_dir={data_dir}"] if not o.startswith("data.batch_size")]
    same = [*small, "data.batch_size=4", f"ckpt_path={whole}/checkpoints/last.ckpt", f"paths.output_dir={tmp_path}"]
    find_checkpoint(compose([*same, "data.num_workers=0"]))
    assert "settings differ" not in caplog.text
    find_checkpoint(compose([*same, "augment.flip=0.25", "trainer.max_epochs=9"]))
    assert "data.augment.flip was 0.5 and is 0.25; trainer.max_epochs was 3 and is 9" in caplog.text
    with pytest.raises(UserError, match=r"optimizer\.lr was 0\.0001 and is 0\.1\n"):
        find_checkpoint(compose([*same, "optimizer.lr=0.1"]))


WRITE = """
import os, signal, sys, torch
from addnet.training.checkpoint_io import AtomicCheckpointIO
class Bomb:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)
AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(10**6), "bomb": Bomb()}, sys.argv[1])
"""


def test_a_kill_amid_writing_leaves_the_previous_checkpoint_whole(tmp_path):
    file = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(3)}, file)
    warm.run([sys.executable, "-c", WRITE, str(file)], code=-signal.SIGKILL)
    assert torch.equal(torch.load(file, weights_only=True)["weights"], torch.zeros(3))


def test_a_full_disk_is_told_in_a_sentence_and_the_previous_checkpoint_is_whole(tmp_path):
    file = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(3)}, file)
    code = """
import resource, sys, torch
from addnet.training.checkpoint_io import AtomicCheckpointIO
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # files cannot grow beyond
AtomicCheckpointIO().save_checkpoint({"weights": torch.ones(10**6)}, sys.argv[1])
"""
    told = warm.run([sys.executable, "-c", code, str(file)], code=1)
    assert f"UserError: {file} could not be written" in told
    assert "The previous file is intact" in told
    assert torch.equal(torch.load(file, weights_only=True)["weights"], torch.zeros(3))
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(AttributeError):
        AtomicCheckpointIO().save_checkpoint({"unpicklable": lambda: None}, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


class Evil:
    def __reduce__(self):
        return (print, ("code from a checkpoint",))


def test_a_checkpoint_that_wants_to_run_code_is_refused_everywhere(whole, data_dir, tmp_path):
    evil = tmp_path / "evil.ckpt"
    torch.save(last(whole) | {"extra": Evil()}, evil)
    with pytest.raises(UserError, match="more than tensors"):
        read_checkpoint(evil)
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        DeepfakeDetector.load_from_checkpoint(evil, weights_only=True)
    _, output = run(data_dir, tmp_path / "run", *HARD, f"ckpt_path={evil}", code=1)
    assert "code from a checkpoint" not in output
    assert "more than tensors" in output


def test_a_resumed_run_goes_on_in_the_same_comet_experiment(data_dir, tmp_path):
    comet = [override for override in HARD if override != "logger=csv"] + ["logger.comet.offline=true"]
    folder, _ = run(data_dir, tmp_path / "stopped", *comet, fault("term", 0, 1), code=143)
    key = last(folder)["resume"]["loggers"]["CometLogger"]["key"]
    resumed, _ = run(
        data_dir, tmp_path / "resumed", *comet, "trainer.max_epochs=1", f"ckpt_path={folder}/checkpoints/last.ckpt"
    )
    archives = [next(place.glob("comet/*.zip")) for place in (folder, resumed)]
    for archive in archives:
        with zipfile.ZipFile(archive) as content:
            told = json.loads(content.read("experiment.json"))
            assert told["offline_id"] == key
    assert told["resume_strategy"] == "get_or_create"
