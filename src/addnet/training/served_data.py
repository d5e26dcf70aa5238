"""The protocols that the training code requires of a data module."""

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
    """What a resume requires: the same composition of batches, and a start within an epoch."""

    batch_size: int

    def start_at(self, *, epoch: int, batch: int) -> None:
        """Makes training start before this batch of this epoch, on each process."""


@runtime_checkable
class ServedData(ResumableData, Protocol):
    """What training requires; `addnet.data.DeepfakeDataModule` and data modules of other packages implement it.

    Attributes:
        balance: `none`, `sampler` or `loss_weight`.
    """

    balance: str

    @property
    def splits(self) -> Mapping[str, UsableRecords]:
        """The records of each split; empty before `setup`."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of all records; empty before `setup`."""

    def list_data(self) -> None:
        """Lists the data, so that missing data is reported at once."""

    def prepare_data(self) -> None:
        """Prepares the data once, on one process."""

    def setup(self, stage: str | None = None) -> None:
        """Builds the splits."""

    def summary(self, run_dir: str | Path) -> None:
        """Logs the contents of each split."""

    def dataset(self, split: str) -> DeepfakeDataset:
        """The samples of one split."""

    def test_sets(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of the videos of each test data set, by name; empty if there is only one."""

    def video_groups(self, split: str) -> NDArray[np.int64]:
        """Number of the group of each video in a split."""

    def class_weights(self) -> list[float] | None:
        """Weights of the classes in the loss; None if they aren't weighted."""

    def preprocessing(self) -> dict[str, Any]:
        """What is done to an image, as plain values."""

    def framing(self) -> dict[str, Any] | None:
        """How faces lie in the training images, as plain values."""

    def domain(self) -> dict[str, Any] | None:
        """The characteristics of the training and validation images, as plain values."""


def served_data(trainer: pl.Trainer) -> ServedData | None:
    """The data module of a Trainer; None if it has plain loaders, or a module that isn't a `ServedData`."""
    module = getattr(trainer, "datamodule", None)  # an attribute that Lightning sets without declaring it
    return module if isinstance(module, ServedData) else None


def with_sources(scores: Scores, trainer: pl.Trainer, split: str) -> Scores:
    """Scores of a split with the groups of its data module; unchanged if there is no data module."""
    data = served_data(trainer)
    if data is None:
        return scores
    return scores._replace(sources=torch.as_tensor(data.video_groups(split))[scores.videos])


def resumable_data(trainer: pl.Trainer) -> ResumableData:
    """The data module of a Trainer that is resumed.

    Raises:
        UserError: It can't start within an epoch.
    """
    module = getattr(trainer, "datamodule", None)
    if isinstance(module, ResumableData):
        return module
    raise UserError(
        f"callbacks.resume_state needs a data module that can start within an epoch, but {type(module).__name__} lacks "
        "batch_size and start_at; use addnet.data.DeepfakeDataModule, or callbacks=none"
    )
