"""Real trainings, small, in the process that a user would start; and ways to end one early."""

import csv
import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pytorch_lightning as pl
import torch

import warm
from warm import ENVIRONMENT

SMALL = [
    "model.pretrained=false",
    "data.image_size=64",
    "data.batch_size=8",
    "data.num_workers=0",
    "data.val_fraction=0.3",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
]
NETWORK = ["model=timm", "model.backbone=test_resnet"]  # where it doesn't matter which
BANDPASS = [*NETWORK, "model.front=bandpass"]
ONE_STEP = ["trainer.max_steps=1", "callbacks=none", "logger=none"]


def launch(*arguments, launcher=(), cold=False, env=(), module="addnet.train"):
    """Starts the command with these arguments alone, unless `cold` with the libraries imported already.

    Args:
        launcher: A module that starts it, and its arguments.
    """
    words = ["-m", *launcher, module, *arguments]
    environment = os.environ | ENVIRONMENT | dict(env)
    if not cold:
        warm.serve()
        return warm.Process(words, environment, stdout=subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        # a shell that runs tests in the background has Ctrl-C ignored, also by its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def start(data_dir, root, *arguments, **how):
    """Starts `addnet train` with little to do: a small network, unless an argument begins with `model`."""
    options = [argument for argument in arguments if argument.startswith("-")]
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    paths = [f"data.data_dir={data_dir}", f"paths.output_root={root}", f"paths.index_dir={data_dir.parent}/index"]
    network = [] if any(override.startswith("model") for override in overrides) else NETWORK
    return launch(*options, *SMALL, *network, *paths, *overrides, **how)


def ended(process, *, code=0):
    """What a process printed, once it has ended as it should."""
    output = warm.communicated(process)
    assert process.returncode == code, output[-4000:]
    return output


def run(data_dir, root, *arguments, code=0, **how):
    """Runs it to the end; returns the run folder and what was printed."""
    output = ended(start(data_dir, root, *arguments, **how), code=code)
    folders = [*Path(root).glob("train/*")] or [None]
    assert len(folders) == 1, folders
    return folders[0], output


def wait_for(found, process, *, seconds=300):
    """Waits until `found()` is true; returns that."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert process.poll() is None, process.communicate()[0][-4000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def sweep_folder(root):
    """The only sweep below a folder."""
    (folder,) = Path(root).glob("*-sweep/*")
    return folder


def rows(folder):
    return list(csv.DictReader((folder / "metrics" / "metrics.csv").open()))


def last(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def differences(one, other, place=""):
    """Places at which two checkpoints differ by as much as a bit; where files lie doesn't count."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            if "path" not in str(key) and "dir" not in str(key) and key != "best_k_models":
                yield from differences(one.get(key), other.get(key), f"{place}.{key}")
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{place}[{number}]")
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if not torch.equal(one, other):
            yield place
    elif one != other and not (one != one and other != other):  # nan equals nan here
        yield f"{place}: {one!r}, {other!r}"


class Fault(pl.Callback):
    """Ends training at one place, on one process.

    `error` is an exception, `kill` a SIGKILL, and `term` a SIGTERM that loader processes get too, as of SLURM.
    """

    def __init__(self, kind, epoch, batch, rank=0):
        self.kind, self.at, self.rank = kind, (epoch, batch), rank

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) != self.at or trainer.global_rank != self.rank:
            return
        if self.kind == "error":
            raise RuntimeError("something broke")
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        loader_processes = [str(child.pid) for child in active_children()]
        subprocess.run(["kill", "-TERM", *loader_processes, str(os.getpid())], check=True)  # sent by somebody else


def fault(kind, epoch, batch, rank=0):
    """The override that adds one."""
    return f"+callbacks.fault={{_target_:trainings.Fault,kind:{kind},epoch:{epoch},batch:{batch},rank:{rank}}}"
