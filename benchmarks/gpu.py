"""Rows 1 to 3, 7, 9, 12 and 13 on a GPU, in one call of a few minutes.

Needs torch, timm, pytorch-lightning, torchmetrics, OpenCV, NumPy, pyarrow and Hydra; kornia for row 2, Comet for its
logger and dlib for what is usually written are used if they are there. From the root of a checkout:

    PYTHONPATH=src python benchmarks/gpu.py

Without a GPU, `--try` runs all of it on the CPU with next to nothing, to see that it works.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import images
import layer
import torch
from device import all_done, device, wait
from measure import Ratio, race
from runs import BareLoop, Run, made_up_batch
from table import Row, save, show
from training import QUIET, epoch_row, evaluation_row, quieten, trainer_row

from addnet.models import BandpassLayer


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        trainer: The group of the Trainer and what is changed in it.
        side: Of the images in pixels.
        batch: Images a step.
        steps: Of an epoch.
        workers: Of the loader.
        compiled: Whether the step of row 13 is.
    """

    trainer: str = "trainer=gpu"
    side: int = 299
    batch: int = 64
    steps: int = 40
    workers: int = 16
    compiled: bool = True


TRIAL = Sizes("trainer=cpu", side=64, batch=4, steps=6, workers=1, compiled=False)


def rows(sizes: Sizes) -> Iterator[Row]:
    """On drawn portraits of 224 × 224 pixels."""
    yield from layer.rows(batch=sizes.batch)
    with tempfile.TemporaryDirectory() as work:
        data = images.drawn_index(Path(work), sizes.batch * sizes.steps * 5 // 4, different=min(160, 8 * sizes.batch))
        common = {"batch": sizes.batch, "workers": sizes.workers}
        yield trainer_row(data, sizes.trainer, size=sizes.side, steps=sizes.steps, rounds=2, **common)
        limit = sizes.batch * 6
        yield epoch_row(data, sizes.trainer, limit=limit, target=20, side=sizes.side, **common)
        yield evaluation_row(data, sizes.trainer, limit=10**9, rounds=2, side=sizes.side, **common)
        yield from step_rows(data, sizes)


def step_rows(data: Path, sizes: Sizes) -> Iterator[Row]:
    """Row 13: the training step, bfloat16, channels last and compiled, from disk."""
    settings = (sizes.trainer, *QUIET[:-1], "model=bandpass", f"data.num_workers={sizes.workers}")
    shape = (
        f"data.image_size={sizes.side}",
        f"data.batch_size={sizes.batch}",
        f"compile={str(sizes.compiled).lower()}",
    )
    limits = ("trainer.max_epochs=2", "trainer.limit_val_batches=0", "trainer.num_sanity_val_steps=0")
    run = Run.of(images.config(data, *settings, *shape, *limits))
    if device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    ours = run.fit(skip=4).step
    memory = torch.cuda.max_memory_allocated() if device().type == "cuda" else 0
    batch = made_up_batch(sizes.batch, sizes.side)
    loop = run.bare()
    exact = Run.of(images.config(data, *settings, *shape[:2], "compile=false", "trainer.precision=32-true")).bare()
    contenders = {"bare": lambda: loop.step(*batch), "float32": lambda: exact.step(*batch)}
    times = race(all_done(contenders), rounds=5, seconds=0.5 if device().type == "cuda" else 0)
    bare, float32 = times["bare"], times["float32"]
    steps = {"Trainer from disk, a step": ours, "bare on made-up tensors": bare.median, "bare, float32": float32.median}
    rate = f"{sizes.batch / ours:.0f} images a second, batches of {sizes.batch}, peak memory {memory / 1e9:.1f} GB"
    ratios = Ratio.of([each / ours for each in bare.rounds])
    yield Row(
        "13a",
        "training from disk through the Trainer",
        "bare loop on made-up tensors",
        ratios,
        (">=", 0.95),
        steps,
        rate,
    )
    yield Row("13b", "bare loop, bfloat16, compiled", "float32, eager", float32.over(bare), None)
    share = waiting(run, loop, sizes.steps)
    yield Row("13c", "waiting for data", "the step", share, ("<=", 0.05), note=f"{sizes.workers} workers")
    band = BandpassLayer().to(device())
    image = batch[0]
    alone = race(all_done({"layer": lambda: band(image).sum().backward()}), rounds=5)["layer"]
    yield Row(
        "13d",
        "bandpass layer, forward and gradient",
        "the step",
        alone.over(bare),
        ("<=", 0.03),
        {"layer": alone.median},
    )


def waiting(run: Run, loop: BareLoop, steps: int) -> Ratio:
    """Share of the time that a loop waits for the loader when it begins to only once the device has done its step."""
    batches, shares = run.batches(), []
    next(batches)
    for _ in range(steps - 2):
        wait()
        start = time.perf_counter()
        one = next(batches)
        wait()
        there = time.perf_counter()
        loop.step(one["image"], one["mask"], one["label"])
        wait()
        shares.append((there - start) / (time.perf_counter() - start))
    return Ratio.of(shares)


def main() -> int:
    """Measures and saves; exits with 0 once measured: a miss is a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--try", action="store_true", dest="trial", help="on the CPU, with next to nothing")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    arguments = parser.parse_args()
    if not arguments.trial and device().type != "cuda":
        sys.stderr.write("no GPU here; --try runs it on the CPU to see that it works\n")
        return 1
    quieten()
    measured = []
    for row in rows(TRIAL if arguments.trial else Sizes()):
        measured.append(row)
        print(f"{row.number:>4}  {row.what} / {row.against}: {row.ratio.value:.3g}", flush=True)
    show(measured)
    print(save(measured, arguments.out, name="trial" if arguments.trial else "gpu"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
