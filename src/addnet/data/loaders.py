"""Records of a split → loaders of its batches; each process loads its share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from addnet.data.augment import Augment
from addnet.data.dataset import DeepfakeDataset, read_record
from addnet.data.degradations import Degradation
from addnet.data.donors import Donors
from addnet.data.epochs import Epochs
from addnet.data.fakes import SelfBlends
from addnet.data.hook import Hook
from addnet.data.partners import MASKS_OF
from addnet.data.random_degradations import RandomDegradations
from addnet.data.samplers import EvalSampler, SampleAddress, TrainSampler
from addnet.data.transfer import Batch, FinishingLoader, UnfinishedBatches, as_it_is
from addnet.data.usable import UsableRecords
from addnet.data.workers import start_worker
from addnet.errors import UserError, require_choice
from addnet.faces import AttentionMask, Geometry, Landmarker, SelfBlend
from addnet.faces.images import ImageArray
from addnet.index.records import REAL, Records
from addnet.index.storage import Storage


class BatchPlace(NamedTuple):
    """The process that batches are for.

    Attributes:
        rank: Rank of the process.
        world_size: Number of processes.
        for_trainer: Whether a running Trainer finishes batches on its device; otherwise the loader does.
    """

    rank: int = 0
    world_size: int = 1
    for_trainer: bool = False


@dataclass
class Loaders:
    """Makes the datasets and loaders of splits.

    Attributes:
        geometry: Decides which part of an image is shown to the network.
        mask: Draws the attention masks.
        mask_of: `own` or `other`: whose mask an image gets.
        augment: Random augmentation of training images.
        blend: Blends an image with itself.
        epochs: Decides which samples an epoch has and which stay together.
        storage: Reads images.
        landmarker: Finds landmarks on the fly; None: they are known.
        batch_size: Samples per batch on each process.
        num_workers: Number of loader processes; None: the number of cores, at most 8.
        seed: Seed of order and augmentation.

    Raises:
        UserError: A value is not valid.
    """

    geometry: Geometry
    mask: AttentionMask
    mask_of: str
    augment: Augment | None
    blend: SelfBlend
    epochs: Epochs
    storage: Storage
    landmarker: Landmarker | None
    batch_size: int
    num_workers: int | None
    seed: int

    def __post_init__(self) -> None:
        require_choice("data.mask_of", self.mask_of, MASKS_OF)
        if self.batch_size < 1:
            raise UserError(f"data.batch_size={self.batch_size} must be at least 1")
        if self.num_workers is not None and self.num_workers < 0:
            raise UserError(
                f"data.num_workers={self.num_workers} must be at least 0; null uses all cores, but at most 8"
            )

    def preprocessing(self) -> dict[str, Any]:
        """The preprocessing of images before the network, as plain values."""
        geometry = self.geometry
        return {
            "image_size": geometry.size,
            "align": geometry.align,
            "crop": geometry.crop,
            "margin": geometry.margin,
            "mask": self.mask.settings(),
            "mask_of": self.mask_of,
            "value_range": [-1.0, 1.0],
        }

    def dataset(self, split: str, part: UsableRecords, *, degradation: Degradation | None = None) -> DeepfakeDataset:
        """The data set of one split; only `train` is augmented."""
        hooks: list[Hook] = [SelfBlends(self.blend, self._donors(part))] if split in self.epochs.blending else []
        if split == "train" and self.augment and isinstance(self.augment.degrade, RandomDegradations):
            hooks.append(self.augment.degrade)
        return DeepfakeDataset(
            "",
            part.records,
            landmarks=self.landmarker or part.landmarks,
            shapes=part.shapes,
            geometry=self.geometry,
            mask=self.mask,
            mask_of=self.mask_of,
            storage=self.storage,
            augment=self.augment if split == "train" else None,
            hooks=hooks if degradation is None else [*hooks, degradation],
            seed=self.seed,
        )

    def _donors(self, part: UsableRecords) -> Donors | None:
        if not self.blend.donors:
            return None
        return Donors(
            self.blend.donors,
            rows=np.flatnonzero((part.records.labels == REAL) & part.with_landmarks),
            landmarks=part.landmarks,
            groups=part.records.numbers("group_id"),
            read=partial(_read_row, part.records, self.storage),
        )

    def training(self, part: UsableRecords, place: BatchPlace, *, start: tuple[int, int]) -> DataLoader[Batch]:
        """A loader of shuffled, augmented batches; an incomplete last batch is dropped unless it is the only one.

        Args:
            part: The training images.
            place: The process that the batches are for.
            start: The epoch to start with, and the number of its samples to skip on each process.
        """
        sampler = TrainSampler(
            self.epochs.order("train", part),
            seed=self.seed,
            rank=place.rank,
            world_size=place.world_size,
            start=start,
        )
        return self._loader(self.dataset("train", part), sampler, place, drop_last=len(sampler) >= self.batch_size)

    def evaluation(
        self,
        split: str,
        part: UsableRecords,
        place: BatchPlace,
        *,
        degradation: Degradation | None = None,
        rows: Sequence[int] | None = None,
    ) -> DataLoader[Batch]:
        """A loader of a split in order, without augmentation; see `DeepfakeDataModule.eval_loader`."""
        dataset = self.dataset(split, part, degradation=degradation)
        if rows is not None:
            return self._loader(dataset, [SampleAddress(row) for row in rows], place)
        sampler = EvalSampler(self.epochs.requests(split, part), rank=place.rank, world_size=place.world_size)
        return self._loader(dataset, sampler, place)

    def _loader(
        self,
        dataset: DeepfakeDataset,
        sampler: Sampler[SampleAddress] | list[SampleAddress],
        place: BatchPlace,
        *,
        drop_last: bool = False,
    ) -> DataLoader[Batch]:
        workers = min(os.cpu_count() or 1, 8) if self.num_workers is None else self.num_workers
        loader: type[DataLoader[Batch]] = DataLoader if place.for_trainer else FinishingLoader
        return loader(
            UnfinishedBatches(dataset),
            collate_fn=as_it_is,
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=start_worker,
            generator=torch.Generator(),  # without it, each new iterator draws from the run's random state
        )


def _read_row(records: Records, storage: Storage, row: int) -> ImageArray:
    return read_record(records[row], storage)
