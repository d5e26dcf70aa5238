"""The LightningDataModule: pictures and masks for training, validation, test and prediction."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from addnet.data.augment import Augment
from addnet.data.dataset import DeepfakeDataset, Sample, class_weights
from addnet.data.layouts import LAYOUTS, list_data, scan_unlabelled
from addnet.data.partners import MASKS_OF
from addnet.data.samplers import Address, EvalSampler, TrainSampler
from addnet.data.splits import carve_validation, check_overlap, limit, overlap_message, require_both_classes
from addnet.data.usable import (
    Usable,
    describe,
    fingerprint,
    progress_bar,
    refuse_too_many_bad,
    usable,
    write_skipped,
)
from addnet.errors import UserError, require_choice
from addnet.faces import AttentionMask, Geometry, LandmarkDetector
from addnet.index.faces import FaceIndex
from addnet.index.records import Record

log = logging.getLogger(__name__)

BALANCES = ("none", "sampler", "loss_weight")
LANDMARKS = ("index", "on_the_fly")


class DeepfakeDataModule(pl.LightningDataModule):
    """Serves images and masks of a data set, with validation carved out of `train/` by group.

    Args:
        data_dir: The data folder.
        layout: How it is organised; a name in `addnet.data.layouts.LAYOUTS`.
        options: Of the layout; those that a file of `configs/data/` lists.
        generate: Called with `data_dir` before it is read; makes the data set if it is not there.
        predict_dir: Pictures to predict, without labels.
        group_pattern: See `scan_folder`.
        video_pattern: See `scan_folder`.
        index: Parquet file of the landmarks; default: one for each data folder in `index_dir`.
        index_dir: Where indexes are kept.
        landmarks: `index` finds them once, `on_the_fly` in the loader for each sample.
        landmark_model: Another 68-point file than the packaged one.
        face_crops: The pictures are crops of one face each.
        prepare_workers: Processes that find landmarks; default: all cores.
        image_size: Side of the square the network sees, in pixels.
        align: Levels the line between the eyes.
        crop: `picture` or `face`; see `Geometry`.
        margin: See `Geometry`.
        mask: How attention masks are drawn.
        mask_of: `own`, or `other`: each picture gets the mask of one of another video of its split, drawn anew
            each epoch in training. Shows whether the content of masks matters.
        augment: Random changes of training pictures.
        batch_size: Samples a batch on each process.
        num_workers: Loader processes; default: the cores, at most 8.
        balance: `none`, `sampler` (both classes equally often) or `loss_weight` (weights in the loss).
        val_fraction: Share of `train/` that becomes validation.
        allow_overlap: Turns a leak between train and test into a warning.
        max_bad_fraction: Share of unusable files above which nothing is started.
        limit_train: At most about this many training pictures, whole groups.
        limit_val: The same for validation.
        limit_test: The same for test.
        seed: Decides splits, order and augmentation.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        layout: str = "folder",
        options: Mapping[str, Any] | None = None,
        generate: Callable[[Path], None] | None = None,
        predict_dir: str | None = None,
        group_pattern: str | None = None,
        video_pattern: str | None = None,
        index: str | None = None,
        index_dir: str = "outputs/index",
        landmarks: str = "index",
        landmark_model: str | None = None,
        face_crops: bool = True,
        prepare_workers: int | None = None,
        image_size: int = 299,
        align: bool = True,
        crop: str = "picture",
        margin: float = 1.3,
        mask: AttentionMask | None = None,
        mask_of: str = "own",
        augment: Augment | None = None,
        batch_size: int = 16,
        num_workers: int | None = None,
        balance: str = "none",
        val_fraction: float = 0.1,
        allow_overlap: bool = False,
        max_bad_fraction: float = 0.01,
        limit_train: int | None = None,
        limit_val: int | None = None,
        limit_test: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not (data_dir or predict_dir):
            raise UserError(
                "data.data_dir is not set: name the folder that holds train/ and test/, "
                "or see it work without data by experiment=demo"
            )
        require_choice("data.layout", layout, LAYOUTS)
        require_choice("data.balance", balance, BALANCES)
        require_choice("data.landmarks", landmarks, LANDMARKS)
        require_choice("data.mask_of", mask_of, MASKS_OF)
        if batch_size < 1:
            raise UserError(f"data.batch_size={batch_size} must be at least 1")
        self.data_dir = data_dir
        self.layout = layout
        self.generate = generate
        self.predict_dir = predict_dir
        self.options = {**(options or {}), "group_pattern": group_pattern, "video_pattern": video_pattern}
        self.index_file = index
        self.index_dir = Path(index_dir)
        self.on_the_fly = landmarks == "on_the_fly"
        self.detector = LandmarkDetector(landmark_model, face_crops=face_crops)
        self.prepare_workers = prepare_workers
        self.geometry = Geometry(size=image_size, align=align, crop=crop, margin=margin)
        self.mask = mask or AttentionMask()
        self.mask_of = mask_of
        self.augment = augment
        self.batch_size = batch_size
        self.num_workers = min(os.cpu_count() or 1, 8) if num_workers is None else num_workers
        self.balance = balance
        self.val_fraction = val_fraction
        self.allow_overlap = allow_overlap
        self.max_bad_fraction = max_bad_fraction
        self.limits = {"train": limit_train, "val": limit_val, "test": limit_test}
        self.seed = seed
        self.splits: dict[str, Usable] = {}
        self.fingerprint = ""
        self._prepared = False
        self._start = (0, 0)

    # ---- finding out what there is -------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Finds the landmarks that are not in the index yet; on one process only.

        Raises:
            UserError: The data set is incomplete, leaks between its splits, or has too many unusable files.
        """
        if self._prepared:
            return
        if self.generate and self.data_dir:
            self.generate(Path(self.data_dir))
        if self.data_dir:
            self._index_pictures(Path(self.data_dir), self._selected())
        if self.predict_dir:
            records = scan_unlabelled(self.predict_dir)
            self._index_pictures(Path(self.predict_dir), {"predict": records})
        self._prepared = True

    def setup(self, stage: str | None = None) -> None:
        """Reads the index on every process and builds the splits; does nothing the second time."""
        if self.data_dir and "train" not in self.splits:
            self._load(Path(self.data_dir), self._selected())
        if self.predict_dir and "predict" not in self.splits:
            self._load(Path(self.predict_dir), {"predict": scan_unlabelled(self.predict_dir)})

    def _selected(self) -> dict[str, list[Record]]:
        """The records of each split, before unusable files are known."""
        records = list_data(LAYOUTS, self.layout, str(self.data_dir), options=self.options).pictures
        train = [record for record in records if record.split == "train"]
        test = [record for record in records if record.split == "test"]
        if leaks := check_overlap(train, test):
            if not self.allow_overlap:
                raise UserError(overlap_message(leaks))
            log.warning("%s", overlap_message(leaks))
        train, val = carve_validation(train, self.val_fraction, seed=self.seed)
        splits = {"train": train, "val": val, "test": test}
        return {name: limit(part, self.limits[name], seed=self.seed) for name, part in splits.items()}

    def _index(self, root: Path) -> FaceIndex:
        named = self.index_file if str(root) == self.data_dir else None
        file = named or self.index_dir / f"{root.name}-{_short_hash(root.resolve())}.parquet"
        return FaceIndex(file, root, detector=None if self.on_the_fly else self.detector)

    def _index_pictures(self, root: Path, splits: dict[str, list[Record]]) -> None:
        index = self._index(root)
        paths = [record.path for part in splits.values() for record in part]
        examined = index.update(paths, workers=self.prepare_workers, progress=progress_bar)
        log.info("%s: %d pictures looked at, %d known already", index.file, examined, len(paths) - examined)
        skipped = [(path, reason) for path in paths if (reason := index[path].reason)]
        refuse_too_many_bad(skipped, len(paths), max_fraction=self.max_bad_fraction)

    def _load(self, root: Path, splits: dict[str, list[Record]]) -> None:
        index = self._index(root)
        loaded = {name: usable(part, index) for name, part in splits.items()}
        for name, part in loaded.items():
            if name != "predict":
                require_both_classes(part.records, name, hint="after unusable files were left out")
        self.splits |= loaded
        self.fingerprint = fingerprint(self.splits, index)

    def summary(self, run_dir: str | Path) -> None:
        """Logs what each split holds and lists the files left out in `skipped.csv` of the run folder."""
        for line in describe(self.splits):
            log.info("%s", line)
        if file := write_skipped(self.splits, Path(run_dir, "skipped.csv")):
            log.warning("%d files were left out; see %s", sum(len(s.skipped) for s in self.splits.values()), file)

    # ---- serving it ----------------------------------------------------------------------------------------

    def dataset(self, split: str) -> DeepfakeDataset:
        """The data set of one split; only `train` is augmented."""
        part = self.splits[split]
        return DeepfakeDataset(
            str(self.predict_dir if split == "predict" else self.data_dir),
            part.records,
            points=self.detector if self.on_the_fly else part.points,
            shapes=part.shapes,
            geometry=self.geometry,
            mask=self.mask,
            mask_of=self.mask_of,
            augment=self.augment if split == "train" else None,
            seed=self.seed,
        )

    def class_weights(self) -> list[float] | None:
        """Weights for the loss, if `balance` asks for them."""
        if self.balance != "loss_weight":
            return None
        return class_weights([record.label for record in self.splits["train"].records])

    def preprocessing(self) -> dict[str, Any]:
        """What was done to a picture before the network saw it, as plain values: kept in every checkpoint."""
        geometry = self.geometry
        return {
            "image_size": geometry.size,
            "align": geometry.align,
            "crop": geometry.crop,
            "margin": geometry.margin,
            "mask": self.mask.settings(),
            "mask_of": self.mask_of,
            "detector": self.detector.signature(),
            "value_range": [-1.0, 1.0],
        }

    def start_at(self, *, epoch: int, batch: int) -> None:
        """Lets training begin where an interrupted run stopped: before this batch of this epoch, on each process."""
        self._start = (epoch, batch * self.batch_size)

    def train_dataloader(self) -> DataLoader[Sample]:
        """Shuffled, augmented; a last incomplete batch is left out unless it is the only one."""
        dataset = self.dataset("train")
        rank, world_size = self._ranks()
        sampler = TrainSampler(
            dataset.labels,
            seed=self.seed,
            balance=self.balance == "sampler",
            rank=rank,
            world_size=world_size,
            start=self._start,
        )
        return self._loader(dataset, sampler, drop_last=len(sampler) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Validation in order, evened out over ranks by marked rows."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Test in order, evened out over ranks by marked rows."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Sample]:
        """The pictures of `predict_dir`."""
        return self._eval_loader("predict")

    def _eval_loader(self, split: str) -> DataLoader[Sample]:
        dataset = self.dataset(split)
        rank, world_size = self._ranks()
        return self._loader(dataset, EvalSampler(len(dataset), rank=rank, world_size=world_size))

    def _ranks(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(
        self, dataset: DeepfakeDataset, sampler: Sampler[Address], *, drop_last: bool = False
    ) -> DataLoader[Sample]:
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_start_worker,
            generator=torch.Generator(),  # else each new iterator takes a number from the run's own random state
        )


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # OpenCV's threads do not survive a fork (pytorch#1355)


def _short_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]
