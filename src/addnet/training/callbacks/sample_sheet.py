"""Shows training samples as the network will get them, at the start of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl

from addnet.data.dataset import DeepfakeDataset, Sample
from addnet.data.fakes import SelfBlends
from addnet.data.samplers import SampleAddress
from addnet.errors import UserError
from addnet.faces.blend import Blend
from addnet.faces.geometry import Landmarks
from addnet.index.records import CLASS_NAMES
from addnet.training.loggers import log_plot
from addnet.training.served_data import served_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_MARGIN = 1.6  # side of the square that the sheet of blends shows, over that of the face's box
_MORE = 4  # factor by which differences are enlarged


class SampleSheet(pl.Callback):
    """Plots the first training samples as the network gets them, augmented and with masks, at the start of training.

    If fakes are made from real images, a second sheet shows how: real image, blend, difference and blend mask.

    Args:
        samples: Number of samples on each sheet.
    """

    def __init__(self, samples: int = 12) -> None:
        self.samples = samples

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Plots the sheets."""
        data = served_data(trainer)
        if data is None or not trainer.is_global_zero:
            return
        dataset = data.dataset("train")
        loader: Any = trainer.train_dataloader
        addresses = loader.sampler
        samples = [dataset[address] for address in islice(addresses, self.samples)]
        log_plot(trainer, "training_samples", samples_plot(samples))
        if blends := list(islice(_blends(dataset, addresses), self.samples)):
            log_plot(trainer, "self_blends", blends_plot(blends))


def _blends(dataset: DeepfakeDataset, addresses: Iterable[SampleAddress | int]) -> Iterator[Blend]:
    """Yields the blends among the samples at `addresses`, cropped to their faces."""
    hook = next((hook for hook in dataset.hooks if isinstance(hook, SelfBlends)), None)
    for address in addresses if hook else ():
        if hook and isinstance(address, SampleAddress) and address.blend == "fake":
            at = dataset.at(address)
            try:
                sample = dataset.unwarped(at)
                blend = hook.blend(sample, at)
            except UserError:  # its row of the batch is marked invalid
                continue
            if sample.landmarks is not None:
                face = _around(sample.landmarks)
                yield Blend(blend.real[face], blend.fake[face], blend.mask[face])


def _around(landmarks: Landmarks) -> tuple[slice, slice]:
    """The rows and columns of an image around its face: a square, cut off at the borders of the image."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    (x, y), half = (low + high) / 2, _MARGIN * (high - low).max() / 2
    rows, columns = (slice(max(0, round(middle - half)), max(1, round(middle + half))) for middle in (y, x))
    return rows, columns


def samples_plot(samples: Sequence[Sample], *, columns: int = 6) -> Figure:
    """Plots images above their masks, with their labels."""
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


def blends_plot(blends: Sequence[Blend], *, columns: int = 2) -> Figure:
    """Plots each blend as a row of four: the real image, the blend, their difference (enlarged), the blend mask."""
    from matplotlib.figure import Figure

    rows = -(-len(blends) // columns)
    figure = Figure(figsize=(7.2 * columns, 1.85 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, 4 * columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    titles = ("real", "self-blend", f"difference × {_MORE}", "blend mask")
    for axis, title in zip(axes[0], titles * columns, strict=True):
        axis.set_title(title, fontsize="small")
    for number, (real, fake, mask) in enumerate(blends):
        column, row = divmod(number, rows)
        differs = np.clip(_MORE * np.abs(fake.astype(np.int16) - real), 0, 255).astype(np.uint8)
        for axis, panel in zip(axes[row, 4 * column :], (real, fake, differs, mask), strict=False):
            axis.imshow(panel, cmap="gray", vmin=0, vmax=1 if panel.ndim == 2 else 255)
    return figure
