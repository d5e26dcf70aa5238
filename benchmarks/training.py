"""Rows 7, 8, 9 and 12: training and evaluation through the Trainer beside bare loops, and the fastest CPU settings."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import cv2
import images
import torch
from device import all_done, device, wait
from limits import share_row
from measure import Ratio, race
from peers import DepthwiseBandpass, SearchingLoader
from runs import BareLoop, Run, made_up_batch
from table import Row
from torch import nn
from torch.utils.data import DataLoader

from addnet.config import where_bfloat16
from addnet.models import create_model

QUIET = ("logger.comet.offline=true", "model.pretrained=false", "trainer.max_epochs=1")


def rows() -> Iterator[Row]:
    """On the CPU, with real faces where there are any."""
    quieten()
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as work:
        data = images.folder(Path(work), 320)
        yield trainer_row(data, "trainer=cpu", size=64, batch=8, steps=20, rounds=5)
        yield settings_row()
        yield epoch_row(data, "trainer=cpu_fast", limit=24, target=3, batch=8)
        yield share_row()
        yield evaluation_row(data, "trainer=cpu", limit=80, batch=8, rounds=7)
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def quieten() -> None:
    """Keeps what Lightning and others say out of the table."""
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning", "comet_ml", "addnet"):
        logging.getLogger(name).setLevel(logging.ERROR)


def trainer_row(
    data: Path, trainer: str, *, size: int, batch: int, steps: int, rounds: int = 3, workers: int = 2
) -> Row:
    """Row 7: steps through the Trainer with its callbacks and loggers, and in a loop over the same batches."""
    skip = 4
    settings = (
        trainer,
        *QUIET,
        f"data.image_size={size}",
        f"data.batch_size={batch}",
        "model=bandpass",
        f"data.num_workers={workers}",
    )
    limits = (f"trainer.limit_train_batches={steps}", "trainer.limit_val_batches=1", "trainer.num_sanity_val_steps=0")
    cfg = images.config(data, *settings, *limits, "callbacks.progress_bar.leave=false", "test=false")

    def bare(run: Run) -> float:
        loop, start = run.bare(), 0.0
        for number, one in zip(range(steps), run.batches(), strict=False):
            if number == skip:
                wait()
                start = time.perf_counter()
            loop.step(one["image"], one["mask"], one["label"])
        wait()
        return (time.perf_counter() - start) / (steps - skip)

    turns = [(bare(Run.of(cfg)), Run.of(cfg).fit(skip=skip).step) for _ in range(rounds)]
    theirs, ours = (median(turn) for turn in zip(*turns, strict=True))
    return Row(
        "7",
        "training through the Trainer",
        "bare loop over the same batches",
        Ratio.of([bare / trainer for bare, trainer in turns]),
        (">=", 0.97),
        {"Trainer, a step": ours, "bare, a step": theirs},
        f"all default callbacks and loggers; {size} pixels, batches of {batch}",
    )


def settings_row(batch: int = 4, size: int = 299) -> Row:
    """Row 8: a step as `trainer=cpu_fast` makes it, and as torch makes it by default."""
    fast = images.config(Path(), "trainer=cpu_fast")
    image, mask, label = made_up_batch(batch, size)
    plain_net = create_model("bandpass", pretrained=False)
    fast_net = create_model("bandpass", pretrained=False).to(memory_format=torch.channels_last)
    if fast.compile:
        fast_net.compile()
    bfloat16 = fast.trainer.precision == "bf16-mixed"
    fast_loop = BareLoop.of(fast_net, torch.channels_last, bfloat16=bfloat16)
    plain_loop = BareLoop.of(plain_net, torch.contiguous_format)
    plain_image = image.contiguous()
    contenders = {
        "cpu_fast, a step": lambda: fast_loop.step(image, mask, label),
        "float32, contiguous, eager": lambda: plain_loop.step(plain_image, mask, label),
    }
    times = race(contenders, rounds=3, seconds=0)
    ours, theirs = times.values()
    has = where_bfloat16("has bfloat16", "has no bfloat16: float32, channels last, not compiled")
    return Row(
        "8",
        "trainer=cpu_fast",
        "float32, contiguous, eager",
        theirs.over(ours),
        where_bfloat16((">=", 2), None),
        {name: time.median for name, time in times.items()},
        f"this CPU {has}; the target is for CPUs that have it",
    )


def epoch_row(
    data: Path, trainer: str, *, limit: int, target: float, batch: int = 4, workers: int = 2, side: int = 299
) -> Row:
    """Row 9: the second epoch from disk, bandpass model, and the same as it is usually written.

    A CPU without bfloat16 can't reach the target, since the network alone takes longer: there it is nine tenths of what
    would be reached if everything else took no time.
    """
    settings = (trainer, *QUIET[:-1], "model=bandpass", f"data.batch_size={batch}", f"data.num_workers={workers}")
    limits = (f"data.limit_train={limit}", "trainer.limit_val_batches=0", "trainer.num_sanity_val_steps=0")
    cfg = images.config(data, *settings, *limits, "trainer.max_epochs=2", f"data.image_size={side}")
    run = Run.of(cfg)
    dataset = run.datamodule.dataset("train")
    steps = len(dataset) // batch
    ours = run.fit().epoch / steps
    files = [(str(Path(record.root, record.path)), record.label) for record in dataset.records]
    found = None if importlib.util.find_spec("dlib") else list(dataset.landmarks)
    loader = DataLoader(
        SearchingLoader(files, side, found=found),
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
    )
    model = create_model("addnet", pretrained=False).to(device())
    bandpass = DepthwiseBandpass().to(device())
    optimizer = torch.optim.Adam([*model.parameters(), *bandpass.parameters()], lr=1e-4)
    for _ in range(2):
        start = time.perf_counter()
        for image, mask, label in loader:
            logits = model(bandpass(image.to(device())), mask.to(device()))
            loss = nn.functional.cross_entropy(logits, label.to(device()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        wait()
        seconds = (time.perf_counter() - start) / steps
    told = ""
    if device().type == "cpu" and where_bfloat16(False, True):
        bare, made = run.bare(), made_up_batch(batch, side)
        alone = race({"step": lambda: bare.step(*made)}, rounds=3, seconds=0)["step"].median
        limit = seconds / alone
        target = round(0.9 * limit, 2)
        told = (
            f"; no bfloat16: to reach is 0.9 of {limit:.3g}, with nothing but the step, {alone / batch:.3g} s an image"
        )
    return Row(
        "9",
        f"one epoch from disk, {trainer}",
        "as usually written",
        Ratio.of([seconds / ours]),
        (">=", target),
        {"ours, an image": ours / batch, "as usual, an image": seconds / batch},
        f"{steps * batch} images, {workers} workers; usual: 2-D kernels, float32, eager, "
        + ("landmarks from an index, for want of dlib" if found else "landmarks found in the loader")
        + told,
    )


def evaluation_row(
    data: Path, trainer: str, *, limit: int, batch: int, rounds: int, workers: int = 2, side: int = 299
) -> Row:
    """Row 12: the test through the Trainer, from disk to metrics, and forward passes on tensors in memory."""
    settings = (trainer, *QUIET, "model=bandpass", f"data.batch_size={batch}", f"data.num_workers={workers}")
    cfg = images.config(data, *settings, f"data.limit_test={limit}", f"data.image_size={side}")
    run = Run.of(cfg)
    count = len(run.datamodule.splits["test"].records)
    first = next(iter(run.datamodule.test_dataloader()))
    image, mask = first["image"].to(device()), first["mask"].to(device())
    loop = run.bare()
    for _ in range(2):  # statistics of batch normalisation: without them numbers shrink to what CPUs are slow at
        loop.step(image, mask, first["label"].to(device()))
    net = loop.net.eval()

    @torch.no_grad()
    def forward() -> None:
        with loop.precision():
            net(image, mask)

    ratios, taken = [], []
    for _ in range(rounds):
        seconds = run.test() / count
        net.to(device())
        alone = race(all_done({"forward": forward}), rounds=3, seconds=0)["forward"].median / batch
        ratios.append(alone / seconds)
        taken.append((seconds, alone))
    ours, theirs = (median(times) for times in zip(*taken, strict=True))
    return Row(
        "12",
        "test through the Trainer",
        "forward pass alone",
        Ratio.of(ratios),
        (">=", 0.9),
        {"test, an image": ours, "forward alone, an image": theirs},
        f"{count} images from disk, {workers} workers, their start and all metrics included",
    )
