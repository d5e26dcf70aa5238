"""Row 14: how time and memory grow with the images, the batch, the loader's workers and the processes."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import images
import torch
from measure import Ratio
from runs import BareLoop, Run, made_up_batch
from table import Row
from torch.utils.data import DataLoader
from training import quieten

from addnet.models import create_model

FACTORS = (1, 4, 16)
BASE = 24  # images at factor 1
SIDE = 64  # pixels: what grows is to be seen, not the network
BATCHES, WORKERS, RANKS = (2, 8, 32), (0, 1, 2), (1, 2)


def rows() -> Iterator[Row]:
    """Each point of an epoch is a process of its own, whose peak memory is its own."""
    with tempfile.TemporaryDirectory() as work:
        data = images.folder(Path(work), BASE * FACTORS[-1])
        images.module(data)  # finds the landmarks once
        epochs = {factor: _epoch(data, f"data.limit_train={BASE * factor}") for factor in FACTORS}
        yield _row(
            "14a",
            f"epoch of {FACTORS[-1]} × the images, an image",
            "of the smallest",
            {f"{BASE * factor} images": epoch["seconds"] for factor, epoch in epochs.items()},
            "epoch: time of an image",
            target=("<=", 1.1),
        )
        peaks = {f"{BASE * factor} images": epoch["bytes"] for factor, epoch in epochs.items()}
        what = f"peak memory, {FACTORS[-1]} × the images"
        yield _row("14b", what, "the smallest", peaks, "epoch: peak memory", target=("<=", 1.1), unit="B")
        yield _row(
            "14c",
            f"training step, batch of {BATCHES[-1]}, an image",
            f"batch of {BATCHES[0]}",
            {f"{batch} images a batch": _step(batch) for batch in BATCHES},
            "step: time of an image",
        )
        samples = {f"{count} workers": _loader(data, count) for count in WORKERS}
        yield _row(
            "14d",
            f"loader, {WORKERS[-1]} workers, a sample",
            f"{WORKERS[0]} workers",
            samples,
            "loader: time of a sample",
        )
        ranks = {
            f"{count} processes": _epoch(
                data, f"data.limit_train={4 * BASE}", "trainer=ddp_cpu", f"trainer.devices={count}", "data.batch_size=4"
            )["seconds"]
            for count in RANKS
        }
        yield _row("14e", "epoch on two processes, an image", "on one", ranks, "epoch: time of an image")


def _row(
    number: str,
    what: str,
    against: str,
    landmarks: dict[str, float],
    title: str,
    *,
    target: tuple[str, float] | None = None,
    unit: str = "s",
) -> Row:
    first, *_, last = landmarks.values()
    return Row(number, what, against, Ratio.of([last / first]), target, landmarks, title, unit, curve=True)


def _epoch(data: Path, *overrides: str) -> dict[str, float]:
    """Seconds an image of the second epoch, and the peak memory of all processes together, in bytes."""
    command = [sys.executable, __file__, str(data), *overrides]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            peak[0] = max(peak[0], _resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer, _ = process.communicate()
    stop.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return {"seconds": json.loads(answer.splitlines()[-1]), "bytes": float(peak[0])}


def _resident(pid: int) -> int:
    """Bytes of a process and its children that are its own: what is shared counts once."""
    total = 0
    for each in (pid, *_descendants(pid)):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [each for child in children for each in (child, *_descendants(child))]


def _step(batch: int, rounds: int = 5) -> float:
    """Seconds an image of a training step."""
    net = create_model("bandpass", pretrained=False).to(memory_format=torch.channels_last)
    loop, made_up = BareLoop.of(net, torch.channels_last), made_up_batch(batch, SIDE)
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        loop.step(*made_up)
        taken.append((time.perf_counter() - start) / batch)
    return median(taken[1:])


def _loader(data: Path, workers: int, epochs: int = 5) -> float:
    """Seconds a sample, in the middle one of some epochs after the first."""
    loader = images.module(data, f"data.num_workers={workers}", "data.batch_size=16").train_dataloader()
    taken = []
    for _ in range(1 + epochs):
        start = time.perf_counter()
        count = sum(len(batch["path"]) for batch in DataLoader.__iter__(loader))
        taken.append((time.perf_counter() - start) / count)
    return median(taken[1:])


def _train(data: Path, overrides: list[str]) -> float:
    """Trains two epochs through the Trainer, and measures the second."""
    quieten()
    settings = (
        "trainer=cpu",
        "model=bandpass",
        "model.pretrained=false",
        f"data.image_size={SIDE}",
        "data.batch_size=8",
    )
    limits = ("data.num_workers=1", "trainer.limit_val_batches=0", "trainer.num_sanity_val_steps=0", "logger=none")
    bare = ("callbacks=none", "trainer.max_epochs=2", "+trainer.enable_checkpointing=false")
    cfg = images.config(data, *settings, *limits, *bare, "+trainer.enable_progress_bar=false", *overrides)
    run = Run.of(cfg)
    stopwatch = run.fit()
    return stopwatch.epoch / (stopwatch.steps * cfg.data.batch_size * cfg.trainer.devices)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    taken = _train(arguments.data, arguments.overrides)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(json.dumps(taken), flush=True)
