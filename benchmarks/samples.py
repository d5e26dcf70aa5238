"""Rows 4 to 6: one training sample beside the file read alone and beside landmarks found anew; the loader."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import pictures
import torch
from measure import Ratio, Work, race
from peers import SearchingLoader
from table import Row

from addnet.data.samplers import Address

COUNT, WORKERS, BATCH = 512, 2, 16


def rows() -> Iterator[Row]:
    """224 × 224 crops → 299, augmentation `light`, one core."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as work:
        root = pictures.folder(Path(work), COUNT)
        module = pictures.module(root, f"data.num_workers={WORKERS}", f"data.batch_size={BATCH}")
        dataset = module.dataset("train")
        files = [(str(root / record.path), record.label) for record in dataset.records]
        searching = SearchingLoader(files)
        number = itertools.count()

        def next_one() -> int:
            return next(number) % len(files)

        def read() -> object:
            return cv2.resize(cv2.imread(files[next_one()][0]), (299, 299))

        contenders: dict[str, Work] = {
            "ours": lambda: dataset[Address(next_one(), next(number))],
            "read, decode, resize": read,
        }
        short = race(contenders)
        long = race({"landmarks anew": lambda: searching[next_one()], "ours": contenders["ours"]}, rounds=5)
        times = {name: time.median for name, time in (long | short).items()}
        what = "one training sample"
        yield Row(
            "4",
            what,
            "read, decode, resize alone",
            short["ours"].over(short["read, decode, resize"]),
            ("<=", 4.5),
            times,
        )
        yield Row("5", what, "landmarks found in the loader", long["landmarks anew"].over(long["ours"]), (">=", 20))

        loader = module.train_dataloader()
        epoch = race({"loader": lambda: sum(len(batch["label"]) for batch in loader)}, rounds=5, seconds=0)["loader"]
        served = len(loader) * BATCH
        rates = [served / seconds * short["ours"].median / WORKERS for seconds in epoch.rounds]
        yield Row(
            "6",
            f"loader, {WORKERS} workers",
            f"one core times {WORKERS}",
            Ratio.of(rates),
            (">=", 0.85),
            {"a sample": epoch.median / served},
        )
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
