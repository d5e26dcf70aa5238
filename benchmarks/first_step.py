"""The two sides of row 18, a process each: a training that ends with its first step, and a bare script."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl

SIDE, BATCH, WORKERS = 64, 8, 2


class FirstStep(pl.Callback):
    """Ends the process where the first training step has ended."""

    def on_train_batch_end(self, *_: Any) -> None:
        """The step is done."""
        end()


def end() -> NoReturn:
    """Ends this process and its loader processes at once."""
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(0)


def by_hand(index: Path) -> None:
    """One step of the default network on the images of an index, in as few lines as a script of one's own has."""
    import numpy as np
    import pyarrow.parquet
    import timm  # noqa: F401 - the network's packages are imported as in such a script
    import torch
    from peers import SearchingLoader

    from addnet.models import create_model

    rows = pyarrow.parquet.read_table(index, columns=["path", "label", "split", "points"])
    points = np.asarray(rows["points"].combine_chunks().flatten()).reshape(-1, 68, 2)
    here = np.flatnonzero(np.asarray(rows["split"].to_pylist()) == "train")
    paths, labels = rows["path"].to_pylist(), rows["label"].to_pylist()
    files = [(str(index.with_name(paths[row])), labels[row]) for row in here]
    dataset = SearchingLoader(files, SIDE, found=list(points[here]))
    loader = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True, drop_last=True, num_workers=WORKERS)
    net = create_model("addnet").to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(net.parameters())
    for image, mask, label in loader:
        logits = net(image.contiguous(memory_format=torch.channels_last), mask)
        loss = torch.nn.functional.cross_entropy(logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        end()


if __name__ == "__main__":
    by_hand(Path(sys.argv[1]))
