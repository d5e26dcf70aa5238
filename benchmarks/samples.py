"""Rows 4 to 6 and 20: a training sample beside the file read, beside landmarks found anew, blended; the loader."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import images
import numpy as np
import torch
from measure import Work, race
from numpy.typing import NDArray
from peers import SearchingLoader
from table import Row
from torch.utils.data import DataLoader, Dataset

from addnet.data.dataset import DeepfakeDataset
from addnet.data.samplers import SampleAddress

COUNT, WORKERS, BATCH, SIDE = 1024, 2, 16, 299


class Idle(Dataset[torch.Tensor]):
    """Batches as large as ours, which nobody has to make."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.empty(BATCH * (SIDE * SIDE * 3 + 100 * 100 * 4), dtype=torch.uint8)


def rows() -> Iterator[Row]:
    """224 × 224 crops → 299, augmentation `light`, one core."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as work:
        root = images.folder(Path(work), COUNT)
        module = images.module(root, f"data.num_workers={WORKERS}", f"data.batch_size={BATCH}")
        dataset = module.dataset("train")
        files = [(str(root / record.path), record.label) for record in dataset.records]
        searching = SearchingLoader(files, SIDE)
        number = itertools.count()
        place = np.empty((SIDE, SIDE, 3), dtype=np.uint8)  # in the batch

        def address() -> SampleAddress:
            turn = next(number)
            return SampleAddress(turn % len(files), turn)

        def read() -> object:
            return cv2.resize(cv2.imread(files[next(number) % len(files)][0]), (SIDE, SIDE))

        contenders: dict[str, Work] = {
            "ours": lambda: dataset.draw(address(), out=place),
            "read, decode, resize": read,
            "ours, finished": lambda: dataset[address()],
        }
        short = race(contenders)
        long = race(
            {"landmarks anew": lambda: searching[address().record], "ours, finished": contenders["ours, finished"]},
            rounds=9,
            seconds=1.5,
        )
        times = {name: time.median for name, time in (long | short).items()}
        note = "as it leaves a loader process; finished: float32 values and a mask at full size, made on the device"
        ours, theirs, _ = short.values()
        what = "one training sample"
        yield Row("4", what, "read, decode, resize alone", ours.over(theirs), ("<=", 4.5), times, note)
        anew, finished = long.values()
        yield Row("5", f"{what}, finished", "landmarks found in the loader", anew.over(finished), (">=", 20))

        blending = images.module(root, "data.num_workers=0", "data.fakes=self_blended")
        yield _blended(blending.dataset("train"), blending.train_dataloader().sampler, dataset, place)

        loader = module.train_dataloader()
        idle = DataLoader(Idle(len(loader)), batch_size=1, num_workers=WORKERS, persistent_workers=True)
        served = len(loader) * BATCH
        turns: dict[str, Work] = {
            "one core": lambda: [dataset.draw(address(), out=place) for _ in range(served // WORKERS)],
            "loader": lambda: sum(len(batch["path"]) for batch in DataLoader.__iter__(loader)),
            "transport alone": lambda: sum(len(bytes_) for bytes_ in idle),
        }
        core, epoch, bare = race(turns, rounds=15, seconds=0).values()
        per_sample = {
            "a sample on one core": core.median / (served // WORKERS),
            "a sample": epoch.median / served,
            "transport alone": bare.median / served,
        }
        note = "unfinished batches, as a Trainer gets them; transport: so many bytes of nothing in new memory"
        yield Row(
            "6",
            f"loader, {WORKERS} workers",
            f"one core times {WORKERS}",
            core.over(epoch),
            (">=", 0.85),
            per_sample,
            note,
        )
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def _blended(
    dataset: DeepfakeDataset, served: Iterable[SampleAddress], plain: DeepfakeDataset, place: NDArray[np.uint8]
) -> Row:
    """A sample of real images and their blends, as they are served, over a sample of the same images alone."""
    number = itertools.count()
    pairs = list(served)
    halves = [address for address in pairs if address.blend == "fake"]
    records = [address._replace(blend="") for address in pairs]

    def draw(data: DeepfakeDataset, addresses: list[SampleAddress]) -> object:
        return data.draw(addresses[next(number) % len(addresses)], out=place)

    times = race(
        {
            "real images and their blends": lambda: draw(dataset, pairs),
            "the same images": lambda: draw(plain, records),
            "blends alone": lambda: draw(dataset, halves),
        }
    )
    blended, alone, _ = times.values()
    note = "blend=sbi; both of a pair come after one another, so that each blend is made once"
    per_sample = {name: time.median for name, time in times.items()}
    return Row("20", "one training sample, self-blended", "as it is", blended.over(alone), ("<=", 3), per_sample, note)
