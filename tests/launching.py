"""Trainings as a user starts them, with as little to do as possible."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SMALL = [
    "model.pretrained=false",
    "data.image_size=64",
    "data.batch_size=8",
    "data.num_workers=0",
    "data.val_fraction=0.3",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
    "logger=none",
    "callbacks.sample_sheet=null",
]
ONE_STEP = ["trainer.max_steps=1", "callbacks=none"]


def start(data_dir, root, *arguments):
    """Starts `python -m addnet.train`; options such as -m first."""
    options = [argument for argument in arguments if argument.startswith("-")]
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    small = [o for o in SMALL if "callbacks=none" not in overrides or not o.startswith("callbacks.")]
    paths = [f"data.data_dir={data_dir}", f"paths.output_root={root}", f"paths.index_dir={data_dir.parent}/index"]
    return launch(*options, *small, *paths, *overrides)


def launch(*arguments):
    """Starts the command with these arguments alone."""
    return subprocess.Popen(
        [sys.executable, "-m", "addnet.train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COMET_API_KEY": "", "OMP_NUM_THREADS": "1"},
        # a shell that runs tests in the background has Ctrl-C ignored, also by its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def ended(process, *, code=0):
    """What a process printed, once it has ended as it should."""
    output, _ = process.communicate(timeout=400)
    assert process.returncode == code, output[-4000:]
    return output


def sweep_folder(root):
    """The only sweep below a folder."""
    (folder,) = Path(root).glob("*-sweep/*")
    return folder


def wait_for(found, process, *, seconds=300):
    """Waits until `found()` is true; returns that."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert process.poll() is None, process.communicate()[0][-4000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value
