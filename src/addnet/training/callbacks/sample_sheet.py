"""What the network is about to see, before it sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl

from addnet.data.dataset import DeepfakeDataset, Sample
from addnet.data.samplers import Address
from addnet.index.records import CLASS_NAMES
from addnet.training.loggers import log_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SampleSheet(pl.Callback):
    """Draws training samples as the network gets them, augmented, with their masks, at the start of training.

    Args:
        samples: How many.
    """

    def __init__(self, samples: int = 12) -> None:
        self.samples = samples

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the sheet."""
        datamodule = getattr(trainer, "datamodule", None)
        if datamodule is None or not trainer.is_global_zero:
            return
        dataset: DeepfakeDataset = datamodule.dataset("train")
        chosen = np.linspace(0, len(dataset) - 1, min(self.samples, len(dataset))).round().astype(int)
        samples = [dataset[Address(int(index), trainer.current_epoch)] for index in chosen]
        log_figure(trainer, "training_samples", samples_figure(samples))


def samples_figure(samples: Sequence[Sample], *, columns: int = 6) -> Figure:
    """Pictures above their masks, labelled."""
    from matplotlib.figure import Figure

    rows = -(-len(samples) // columns)
    figure = Figure(figsize=(1.8 * columns, 3.9 * rows), layout="constrained")
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, sample in enumerate(samples):
        row, column = divmod(number, columns)
        axes[2 * row, column].imshow((sample["image"] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy())
        axes[2 * row, column].set_title(CLASS_NAMES[sample["label"]], fontsize="small")
        axes[2 * row + 1, column].imshow(sample["mask"][0].numpy(), cmap="gray", vmin=0, vmax=1)
    return figure
