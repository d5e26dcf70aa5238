"""What training asks of a data module: its LightningModule, callbacks, run folder and command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from addnet.data.dataset import DeepfakeDataset
from addnet.data.usable import UsableRecords
from addnet.errors import UserError
from addnet.evaluation import Scores


@runtime_checkable
class ResumableData(Protocol):
    """What a resume asks: batches are put together as before, and training begins amid an epoch."""

    batch_size: int

    def start_at(self, *, epoch: int, batch: int) -> None:
        """Lets training begin before this batch of this epoch, on each process."""


@runtime_checkable
class ServedData(ResumableData, Protocol):
    """What a training asks; `addnet.data.DeepfakeDataModule` answers it, and so may one of another package.

    Attributes:
        balance: `none`, `sampler` or `loss_weight`.
    """

    balance: str

    @property
    def splits(self) -> Mapping[str, UsableRecords]:
        """What is served, by split; empty before `setup`."""

    @property
    def fingerprint(self) -> str:
        """Of all that is served; empty before `setup`."""

    def list_data(self) -> None:
        """Says at once what is missing."""

    def prepare_data(self) -> None:
        """Does what is done once, on one process."""

    def setup(self, stage: str | None = None) -> None:
        """Builds the splits."""

    def summary(self, run_dir: str | Path) -> None:
        """Logs what each split holds."""

    def dataset(self, split: str) -> DeepfakeDataset:
        """The samples of one split."""

    def test_sets(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of the videos of each data set that is tested on; empty if there is but one."""

    def video_groups(self, split: str) -> NDArray[np.int64]:
        """Number of the group of each video of a split."""

    def class_weights(self) -> list[float] | None:
        """Weights for the loss."""

    def preprocessing(self) -> dict[str, Any]:
        """What is done to an image, as plain values."""

    def framing(self) -> dict[str, Any] | None:
        """How faces lie in the training images, as plain values."""

    def domain(self) -> dict[str, Any] | None:
        """What the images of training and validation are like, as plain values."""


def served_data(trainer: pl.Trainer) -> ServedData | None:
    """The data module of a Trainer; None where it has plain loaders, or another's module that doesn't say all this."""
    module = getattr(trainer, "datamodule", None)  # an attribute that Lightning sets and doesn't declare
    return module if isinstance(module, ServedData) else None


def with_sources(scores: Scores, trainer: pl.Trainer, split: str) -> Scores:
    """Scores of a split with the groups that its data module knows of; as they are where there is none."""
    data = served_data(trainer)
    if data is None:
        return scores
    return scores._replace(sources=torch.as_tensor(data.video_groups(split))[scores.videos])


def resumable_data(trainer: pl.Trainer) -> ResumableData:
    """The data module of a Trainer that is resumed.

    Raises:
        UserError: It can't begin amid an epoch.
    """
    module = getattr(trainer, "datamodule", None)
    if isinstance(module, ResumableData):
        return module
    raise UserError(
        f"callbacks.resume_state needs a data module that can begin amid an epoch, and {type(module).__name__} has no "
        "batch_size and start_at; use addnet.data.DeepfakeDataModule, or callbacks=none"
    )
