"""However many processes there are and whoever starts them: one run, and the metrics of a single process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from addnet.config import build, compose
from addnet.launch import join_run, process_name
from addnet.models import create_model
from addnet.training.sync_batchnorm import SyncBatchNorm
from trainings import SMALL, differences, ended, fault, last, rows, run, start, wait_for
from warm import ENVIRONMENT

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")
# a transformer of which normalisation alone is trained; test_resume.py has a convolutional network
VIT = ["model=timm", "model.backbone=test_vit", "model.tune=norm", "+model.options.dynamic_img_size=true"]
SHORT = [*VIT, "logger=csv", "trainer.max_epochs=2", "callbacks.sample_sheet=null", "test=false"]


@pytest.fixture(scope="module")
def even_data(tmp_path_factory):
    """48 training and 64 test images."""
    from addnet.data.synthetic import generate_dataset

    root = tmp_path_factory.mktemp("even") / "faces"
    generate_dataset(root, train=48, test=64, size=112, seed=3, views=2)
    return root


@pytest.fixture(scope="module")
def odd_data(even_data, tmp_path_factory):
    """48 training and 61 test images: no number of processes but one divides them."""
    root = Path(shutil.copytree(even_data, tmp_path_factory.mktemp("odd") / "faces"))
    for image in sorted(root.glob("test/fake/**/*.jpg"))[:3]:
        image.unlink()
    return root


@pytest.fixture(scope="module")
def alone(even_data, tmp_path_factory):
    """Trained by one process."""
    return run(even_data, tmp_path_factory.mktemp("alone"), *SHORT, "optimizer.lr=1e-3")[0]


@pytest.fixture(scope="module")
def pair(even_data, tmp_path_factory):
    """Trained by two processes that Lightning started."""
    return run(even_data, tmp_path_factory.mktemp("pair"), *SHORT, "trainer.devices=2")[0]


def _tested(data, root, checkpoint, devices):
    task = [*VIT, "train=false", "logger=none", "data.batch_size=6", f"trainer.devices={devices}"]
    folder, _ = run(data, root / str(devices), *task, f"ckpt_path={checkpoint}/checkpoints/last.ckpt")
    metrics = json.loads((folder / "reports" / "test_metrics.json").read_text())
    names = ("test_frame", "test_video")
    reports = [(folder / "reports" / f"{name}_classification_report.json").read_text() for name in names]
    return metrics, [json.loads(report) for report in reports]


@pytest.mark.parametrize(("number", "devices"), [(64, 2), (61, 3)])
def test_metrics_do_not_depend_on_the_number_of_processes(alone, even_data, odd_data, tmp_path, number, devices):
    data = {64: even_data, 61: odd_data}[number]
    expected, reports = _tested(data, tmp_path, alone, 1)
    assert {"test/frame/loss", "test/frame/auroc", "test/video/ap", "test/video/eer"} <= set(expected)
    assert reports[0]["accuracy"]["support"] == number
    metrics, same_reports = _tested(data, tmp_path, alone, devices)
    assert metrics == pytest.approx(expected, abs=1e-6)
    assert same_reports == reports  # the confusion matrix, row by row


def test_processes_share_one_run_folder_and_keep_their_own_logs(pair):
    assert {file.name for file in pair.glob("*.log")} == {"train.log", "train_rank1.log"}
    assert {file.name for file in pair.glob("checkpoints/*")} == {"best.ckpt", "last.ckpt"}
    assert len(list(pair.rglob("metrics.csv"))) == 1
    assert "GLOBAL_RANK: 1" in (pair / "train_rank1.log").read_text()
    assert "GLOBAL_RANK: 1" not in (pair / "train.log").read_text()


def _equal(one, other):
    here, there = last(one), last(other)
    here["addnet"]["config"] = there["addnet"]["config"] = None
    assert list(differences(here, there)) == []
    assert rows(one) == rows(other)


def test_torchrun_gives_the_same_run(pair, even_data, tmp_path):
    folder, output = run(even_data, tmp_path, *SHORT, "trainer.devices=2", launcher=TORCHRUN)
    _equal(pair, folder)
    assert "GLOBAL_RANK: 1" not in output


def test_two_machines_give_the_same_run(pair, even_data, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}", "-m"]
    machines = [
        start(even_data, tmp_path, *SHORT, "trainer.devices=1", "trainer.num_nodes=2", launcher=launcher)
        for launcher in [(TORCHRUN[0], f"--node-rank={node}", *place) for node in (0, 1)]
    ]
    outputs = [ended(machine) for machine in machines]
    (folder,) = Path(tmp_path).glob("train/*")
    _equal(pair, folder)
    assert "checkpoint: " in outputs[0]
    assert "checkpoint: " not in outputs[1]


SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
def task(number):
    of_task = {{"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number), "SLURM_NODEID": "0", "SLURM_STEP_ID": "0"}}
    return subprocess.Popen(sys.argv[1:], env=os.environ | of_task)
tasks = [task(number) for number in range(int(os.environ["SLURM_NTASKS"]))]
signal.signal(signal.SIGTERM, lambda *_: [task.terminate() for task in tasks])
sys.exit(max(code if code >= 0 else 128 - code for code in [task.wait() for task in tasks]))
"""


@pytest.fixture
def slurm(tmp_path):
    """What a node of a cluster has: `srun`, `scontrol` (which notes what it is told) and the job's variables."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "srun").write_text(SRUN)
    (programs / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "addnet", "SLURM_NODELIST": "127.0.0.1", "SLURM_NNODES": "1"}
    job |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "PYTHON": sys.executable}
    return job | {"PATH": f"{programs}:{os.environ['PATH']}"}


def test_a_slurm_job_is_requeued_and_goes_on_as_if_nothing_had_happened(pair, slurm, even_data, tmp_path):
    def submit(*overrides):
        paths = [f"data.data_dir={even_data}", f"paths.output_root={tmp_path}/out"]
        paths += [f"paths.index_dir={even_data.parent}/index", "trainer.precision=32-true"]
        command = ["bash", str(ROOT / "scripts" / "slurm_train.sh"), *SMALL, *SHORT, *paths, *overrides]
        environment = os.environ | ENVIRONMENT | slurm
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    folder = tmp_path / "out" / "train" / "slurm-4711.0"
    first = submit("trainer.sync_batchnorm=false")
    wait_for((folder / "checkpoints" / "last.ckpt").exists, first)
    first.send_signal(signal.SIGUSR1)  # SLURM: the time is nearly up
    output, _ = first.communicate(timeout=200)
    assert first.returncode == 143, output[-3000:]
    assert (tmp_path / "told").read_text() == "requeue 4711\n"
    second = submit("trainer.sync_batchnorm=false")
    output, _ = second.communicate(timeout=200)
    assert second.returncode == 0, output[-3000:]
    assert "resuming in epoch" in output
    _equal(pair, folder)
    assert (tmp_path / "told").read_text() == "requeue 4711\n"


def test_outside_of_slurm_its_config_is_refused_in_words(even_data, tmp_path):
    _, output = run(even_data, tmp_path, "trainer=slurm", "trainer.precision=32-true", code=1)
    assert "scripts/slurm_train.sh" in output
    assert "Traceback" not in output


def test_a_process_that_fails_ends_the_run_and_says_why(even_data, tmp_path):
    process = start(even_data, tmp_path, *SHORT, "trainer.devices=2", fault("error", 1, 0, rank=1))
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "rank1: RuntimeError: something broke" in output
    (log,) = Path(tmp_path).glob("train/*/train_rank1.log")
    assert "Traceback" in log.read_text()
    assert last(log.parent)["resume"]["epoch"] == 1


def test_two_commands_at_once_do_not_disturb_each_other(pair, even_data, tmp_path):
    both = [start(even_data, tmp_path, *SHORT, "trainer.devices=2") for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output[-3000:]
    folders = list(Path(tmp_path).glob("train/*"))
    assert len(folders) == 2
    for folder in folders:
        _equal(pair, folder)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, None),
        ({"RANK": "0", "LOCAL_RANK": "0"}, None),
        ({"RANK": "5", "LOCAL_RANK": "1"}, "rank5"),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, "rank1"),
        ({"LOCAL_RANK": "0", "NODE_RANK": "2"}, "node2_rank0"),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_JOB_ID": "7"}, "rank3"),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_JOB_NAME": "interactive"}, None),
    ],
)
def test_every_launcher_tells_who_is_who(monkeypatch, variables, name):
    for key in [key for key in os.environ if key.startswith("SLURM_")] + ["RANK", "LOCAL_RANK", "NODE_RANK"]:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("ADDNET_RUN", "mine")
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    assert process_name() == name
    assert (join_run(["a=b"]) == ["a=b"]) == (name is None)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "resnetv2_18", "legacy_xception"])
def test_synchronised_batch_norm_takes_the_place_of_every_batch_norm_and_changes_nothing_else(name):
    net = create_model("timm", backbone=name, combine="residual").eval()
    image, mask = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    layers = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    kept, before, sync = list(net.modules()), net(image, mask), SyncBatchNorm()
    sync.apply(net)
    assert sum(isinstance(module, torch.nn.SyncBatchNorm) for module in net.modules()) == len(layers) > 5
    assert not any(type(module) in {type(layer) for layer in layers} for module in net.modules())
    assert torch.equal(net(image, mask), before)  # activations of timm's layers, and hooks that weight features
    layers[0].running_mean.add_(1)
    net.add_module("backbone", net.backbone.double().float())  # other buffers, as on another device
    sync.revert(net)
    assert list(net.modules()) == kept
    assert not torch.equal(net(image, mask), before)
    layers[0].running_mean.sub_(1)
    torch.testing.assert_close(net(image, mask), before, rtol=0, atol=1e-5)


def test_it_is_what_a_trainer_of_several_processes_uses():
    trainer = build(compose(["trainer=ddp_cpu", "trainer.sync_batchnorm=true"]).trainer, logger=False)
    assert isinstance(trainer.strategy._layer_sync, SyncBatchNorm)
    assert trainer.strategy._layer_sync.enabled
    assert not build(compose(["trainer=ddp_cpu"]).trainer, logger=False).strategy._layer_sync.enabled
