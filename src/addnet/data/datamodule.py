"""The LightningDataModule: pictures and masks for training, validation, test and prediction."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.trainer.states import TrainerStatus
from torch.utils.data import DataLoader, Sampler

from addnet.data.augment import Augment
from addnet.data.dataset import DeepfakeDataset, class_weights
from addnet.data.degradations import Degradation
from addnet.data.epochs import Epochs
from addnet.data.fakes import SelfBlends
from addnet.data.hook import Hook
from addnet.data.named import chosen_sources
from addnet.data.partners import MASKS_OF
from addnet.data.prepared import by_root, cut_videos, index_pictures, open_indexes, require_listed
from addnet.data.random_degradations import RandomDegradations
from addnet.data.samplers import Address, EvalSampler, TrainSampler
from addnet.data.selection import select, select_test
from addnet.data.sources import INDEX, Source, archives_dir
from addnet.data.splits import require_usable
from addnet.data.transfer import Batch, FinishingLoader, UnfinishedBatches, as_it_is, finish
from addnet.data.usable import Usable, describe, fingerprint, origins, refuse_too_many_bad, usable, write_skipped
from addnet.data.workers import start_worker
from addnet.errors import UserError, require_choice
from addnet.faces import AttentionMask, Geometry, LandmarkDetector, SelfBlend
from addnet.index.records import FAKE, REAL, Records
from addnet.index.storage import Storage
from addnet.preparation.settings import PrepareSettings
from addnet.wording import count

log = logging.getLogger(__name__)

LANDMARKS = ("index", "on_the_fly")


class DeepfakeDataModule(pl.LightningDataModule):
    """Serves images and masks of a data set, with validation carved out of `train/` by group.

    Args:
        data_dir: The data folder.
        layout: How it is organised; a name in `addnet.data.layouts.LAYOUTS`, or `index`: all is in the index.
        options: Arguments of the layout.
        train: Data sets to train on instead of that one; see `source_of`.
        val: Data sets to choose checkpoints and thresholds on, instead of those trained on; see `select`.
        test: Data sets to test on; default: those trained on.
        generate: Called with `data_dir` before it is read; makes the data set if it is not there.
        predict_dir: Pictures to predict, without labels.
        group_pattern: See `scan_folder`; an option of `layout="folder"`.
        video_pattern: See `scan_folder`; likewise.
        index: Parquet file of the landmarks; default: one for each data folder in `index_dir`.
        index_dir: Where indexes are kept.
        faces_dir: Where faces that are cut out of videos are kept.
        landmarks: `index` finds them once, `on_the_fly` in the loader for each sample.
        landmark_model: Another 68-point file than the packaged one.
        face_crops: The pictures are crops of one face each.
        prepare: How landmarks are found and faces cut out of videos.
        verify: With `layout="index"`: whether files are still there and of the size that the index knows.
        image_size: Side of the square the network sees, in pixels.
        align: Levels the line between the eyes.
        crop: `picture` or `face`; see `Geometry`.
        margin: See `Geometry`.
        mask: How attention masks are drawn.
        mask_of: `own`, or `other`: each picture gets the mask of one of another video of its split, drawn anew
            each epoch in training. Shows whether the content of masks matters.
        augment: Random changes of training pictures.
        fakes: `given` by the data set, `self_blended`: made of the real pictures of `train/` alone, each of which
            comes with its blend in the same batch, or `mixed`: both; see `Epochs`, also of the next ones.
        val_fakes: The same for validation; its blends are the same ones in each epoch.
        blend_share: With `mixed`: share of blends among the fakes of an epoch.
        batch: `shuffled`, or `pairs`: a real and a fake picture of one group in one batch.
        pair_augment: `same` or `own` random changes for both of a given pair.
        blend: How a picture is blended with itself.
        batch_size: Samples a batch on each process.
        num_workers: Loader processes; default: the cores, at most 8.
        balance: `none`, `sampler` (both classes equally often) or `loss_weight` (weights in the loss).
        val_fraction: Share of `train/` that becomes validation.
        test_fraction: Share of `train/` that is kept for testing where nothing is for it; None: that is refused.
        allow_overlap: Turns a leak between train and test into a warning.
        max_bad_fraction: Share of unusable files above which nothing is started.
        limit_train: At most about this many training pictures, whole groups.
        limit_val: The same for validation.
        limit_test: The same for test.
        only_test: Nothing but the test pictures is prepared and served: for evaluation.
        no_test: Nothing for testing is prepared or served: for a training that ends without.
        seed: Decides splits, order and augmentation.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        layout: str = "folder",
        options: Mapping[str, Any] | None = None,
        train: Sequence[Any] | None = None,
        val: Sequence[Any] | None = None,
        test: Sequence[Any] | None = None,
        generate: Callable[[Path], None] | None = None,
        predict_dir: str | None = None,
        group_pattern: str | None = None,
        video_pattern: str | None = None,
        index: str | None = None,
        index_dir: str = "outputs/index",
        faces_dir: str = "outputs/faces",
        landmarks: str = "index",
        landmark_model: str | None = None,
        face_crops: bool = True,
        prepare: PrepareSettings | None = None,
        verify: bool = True,
        image_size: int = 299,
        align: bool = True,
        crop: str = "picture",
        margin: float = 1.3,
        mask: AttentionMask | None = None,
        mask_of: str = "own",
        augment: Augment | None = None,
        fakes: str = "given",
        val_fakes: str = "given",
        blend_share: float = 0.5,
        batch: str = "shuffled",
        pair_augment: str = "same",
        blend: SelfBlend | None = None,
        batch_size: int = 16,
        num_workers: int | None = None,
        balance: str = "none",
        val_fraction: float = 0.1,
        test_fraction: float | None = None,
        allow_overlap: bool = False,
        max_bad_fraction: float = 0.01,
        limit_train: int | None = None,
        limit_val: int | None = None,
        limit_test: int | None = None,
        only_test: bool = False,
        no_test: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not (data_dir or predict_dir or train or layout == INDEX or (test and only_test)):
            raise UserError(
                "data.data_dir is not set: name the folder that holds train/ and test/, "
                "or see it work without data by experiment=demo"
            )
        require_choice("data.landmarks", landmarks, LANDMARKS)
        require_choice("data.mask_of", mask_of, MASKS_OF)
        if batch_size < 1:
            raise UserError(f"data.batch_size={batch_size} must be at least 1")
        self.epochs = Epochs(fakes, val_fakes, blend_share, batch, pair_augment, balance)
        self.epochs.check(landmarks=landmarks, batch_size=batch_size)
        if num_workers is not None and num_workers < 0:
            raise UserError(f"data.num_workers={num_workers} must be at least 0; null takes the cores, at most 8")
        if not 0 <= val_fraction < 1:
            raise UserError(f"data.val_fraction={val_fraction} must lie in [0, 1); 0.1 is usual")
        self.data_dir = data_dir
        self.generate = generate
        self.predict_dir = predict_dir
        folders: dict[str, Any] = {"index_dir": index_dir, "faces_dir": faces_dir}
        self.train_sources, self.val_sources, self.test_sources = chosen_sources(
            data_dir,
            layout=layout,
            options=options,
            train=train,
            val=val,
            test=test,
            index=index,
            group_pattern=group_pattern,
            video_pattern=video_pattern,
            only_test=only_test and test_fraction is None,  # else the test is a part of what is for training
            no_test=no_test,
            **folders,
        )
        self.predict_sources = [Source("unlabelled", predict_dir, **folders)] if predict_dir else []
        self.prepare = prepare or PrepareSettings()
        self.storage = Storage(archives_dir(index_dir))
        self.verify = verify
        self.on_the_fly = landmarks == "on_the_fly"
        self.detector = LandmarkDetector(landmark_model, face_crops=face_crops)
        self.geometry = Geometry(size=image_size, align=align, crop=crop, margin=margin)
        self.mask = mask or AttentionMask()
        self.mask_of = mask_of
        self.augment = augment
        self.blend = blend or SelfBlend()
        self.batch_size = batch_size
        self.num_workers = min(os.cpu_count() or 1, 8) if num_workers is None else num_workers
        self.balance = balance
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.allow_overlap = allow_overlap
        self.max_bad_fraction = max_bad_fraction
        self.only_test = only_test
        self.no_test = no_test
        self.limits = {"train": limit_train, "val": limit_val, "test": limit_test}
        self.seed = seed
        self.splits: dict[str, Usable] = {}
        self.fingerprint = ""
        self._prepared = False
        self._start = (0, 0)

    # ---- finding out what there is -------------------------------------------------------------------------

    def list_data(self) -> None:
        """Lists what lies in the folders, without opening any file of it: what is missing is told at once.

        Raises:
            UserError: A data set isn't there, or is not complete.
        """
        if not self.generate:
            require_listed(self._sources())

    def prepare_data(self) -> None:
        """Finds the landmarks that are not in the index yet; on one process only.

        Raises:
            UserError: The data set is incomplete, leaks between its splits, or has too many unusable files.
        """
        if self._prepared:
            return
        if self.generate and self.data_dir:
            self.generate(Path(self.data_dir))
        sources = self._sources()
        how: dict[str, Any] = {"settings": self.prepare, "max_bad_fraction": self.max_bad_fraction}
        for source in sources:
            if source.from_videos:
                cut_videos(source, detector=self.detector, **how)
        wanted = [records for records in self._selected().values() if len(records)]
        for root, source in by_root(sources).items():
            if source.layout == INDEX or source.from_videos:
                continue
            index_pictures(
                source,
                Records.concat(records.of_root(root) for records in wanted),
                detector=None if self.on_the_fly else self.detector,
                **how,
            )
        self._prepared = True

    def setup(self, stage: str | None = None) -> None:
        """Reads the indexes on every process and builds the splits; does nothing the second time."""
        if self.splits:
            return
        sources = self._sources()
        indexes = open_indexes(sources)
        verify = {str(source.root) for source in sources if source.layout == INDEX} if self.verify else set()
        self.splits = {name: usable(part, indexes, verify=verify) for name, part in self._selected().items()}
        skipped = [row for part in self.splits.values() for row in part.skipped]
        total = len(skipped) + sum(len(part.records) for part in self.splits.values())
        refuse_too_many_bad(skipped, total, max_fraction=self.max_bad_fraction)
        served = {name: part.records for name, part in self.splits.items()}
        left_out = {name: len(part.skipped) for name, part in self.splits.items()}
        require_usable(served, left_out=left_out, blended=self.epochs.blended)
        if "train" in self.splits:
            self.epochs.require_pairs(self.splits["train"])
        self.fingerprint = fingerprint(self.splits)

    def _sources(self) -> list[Source]:
        train = [] if self.only_test else [*self.train_sources, *(self.val_sources or [])]
        test = [] if self.no_test else self.test_sources
        return list(dict.fromkeys([*train, *test, *self.predict_sources]))

    def _selected(self) -> dict[str, Records]:
        """The records of each split, before unusable files are known."""
        if self.only_test:
            how: dict[str, Any] = {"seed": self.seed, "test_fraction": self.test_fraction}
            return {"test": select_test(self.test_sources, limit_to=self.limits["test"], **how)}
        splits = {}
        if self.train_sources:
            splits = select(
                self.train_sources,
                None if self.no_test else self.test_sources,
                val=self.val_sources,
                val_fraction=self.val_fraction,
                test_fraction=self.test_fraction,
                allow_overlap=self.allow_overlap,
                limits=self.limits,
                seed=self.seed,
                blended=self.epochs.blended,
            )
        if self.predict_sources:
            splits["predict"] = Records.concat(source.records() for source in self.predict_sources)
        return splits

    def summary(self, run_dir: str | Path) -> None:
        """Logs what each split holds and lists the files left out in `skipped.csv` of the run folder."""
        for line in describe(self.splits):
            log.info("%s", line)
        if self.val_sources is not None and "val" in self.splits:
            log.info("checkpoints and thresholds are chosen on %s", ", ".join(origins(self.splits["val"])))
        for split, part in self.splits.items():
            if told := self.epochs.told(split, part):
                log.info("%s: %s", split, told)
            if told := self.epochs.told_bare(split, part):
                log.warning("%s: %s", split, told)
        if file := write_skipped(self.splits, Path(run_dir, "skipped.csv")):
            left_out = sum(len(part.skipped) for part in self.splits.values())
            log.warning("%s left out; see %s", count(left_out, "file was", "files were"), file)

    # ---- serving it ----------------------------------------------------------------------------------------

    def dataset(self, split: str, *, degradation: Degradation | None = None) -> DeepfakeDataset:
        """The data set of one split; only `train` is augmented.

        Args:
            split: `train`, `val`, `test` or `predict`.
            degradation: Damage that is done to each picture.
        """
        part = self.splits[split]
        hooks: list[Hook] = [SelfBlends(self.blend)] if split in self.epochs.blending else []
        if split == "train" and self.augment and isinstance(self.augment.degrade, RandomDegradations):
            hooks.append(self.augment.degrade)
        return DeepfakeDataset(
            "",
            part.records,
            points=self.detector if self.on_the_fly else part.points,
            shapes=part.shapes,
            geometry=self.geometry,
            mask=self.mask,
            mask_of=self.mask_of,
            storage=self.storage,
            augment=self.augment if split == "train" else None,
            hooks=hooks if degradation is None else [*hooks, degradation],
            seed=self.seed,
        )

    def test_sets(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of the videos of each data set that is tested on, by its name; empty if there is but one."""
        videos = self.splits["test"].videos_by_dataset()
        return videos if len(videos) > 1 else {}

    def video_groups(self, split: str) -> NDArray[np.int64]:
        """Number of the group of each video of a split; blends stand behind all others, as in `Sample`."""
        records = self.splits[split].records
        groups = np.zeros(len(records.names("video_id")), dtype=np.int64)
        groups[records.numbers("video_id")] = records.numbers("group_id")
        return np.concatenate([groups, groups])

    def class_weights(self) -> list[float] | None:
        """Weights for the loss, if `balance` asks for them."""
        if self.balance != "loss_weight":
            return None
        return class_weights(np.repeat([REAL, FAKE], self.epochs.order("train", self.splits["train"]).classes()))

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

    def framing(self) -> dict[str, Any] | None:
        """How faces lie in the training pictures, see `Framing`: kept in every checkpoint.

        None before `setup`, and where no points are known.
        """
        part = self.splits.get("train")
        framing = None if part is None or self.on_the_fly else part.framing()
        return framing.values() if framing else None

    def start_at(self, *, epoch: int, batch: int) -> None:
        """Lets training begin where an interrupted run stopped: before this batch of this epoch, on each process."""
        self._start = (epoch, batch * self.batch_size)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled, augmented; a last incomplete batch is left out unless it is the only one."""
        dataset = self.dataset("train")
        rank, world_size = self._ranks()
        sampler = TrainSampler(
            self.epochs.order("train", self.splits["train"]),
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            start=self._start,
        )
        return self._loader(dataset, sampler, drop_last=len(sampler) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation in order, evened out over ranks by marked rows."""
        return self.eval_loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Test in order, evened out over ranks by marked rows."""
        return self.eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The pictures of `predict_dir`."""
        return self.eval_loader("predict")

    def eval_loader(
        self, split: str, *, degradation: Degradation | None = None, rows: Sequence[int] | None = None
    ) -> DataLoader[Batch]:
        """A split in order, unaugmented.

        Args:
            split: Such as `test`.
            degradation: Damage that is done to each picture.
            rows: Numbers of the records that are served; None: all, evened out over ranks by marked rows.
        """
        dataset = self.dataset(split, degradation=degradation)
        rank, world_size = self._ranks()
        if rows is not None:
            return self._loader(dataset, [Address(row) for row in rows])
        requests = self.epochs.requests(split, self.splits[split])
        return self._loader(dataset, EvalSampler(requests, rank=rank, world_size=world_size))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Finishes a batch where the network runs, unless its loader has."""
        return finish(batch)

    def _ranks(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(
        self, dataset: DeepfakeDataset, sampler: Sampler[Address] | list[Address], *, drop_last: bool = False
    ) -> DataLoader[Batch]:
        # for a Trainer at work, the hook above finishes batches on its device
        for_trainer = self.trainer is not None and self.trainer.state.status == TrainerStatus.RUNNING
        loader: type[DataLoader[Batch]] = DataLoader if for_trainer else FinishingLoader
        return loader(
            UnfinishedBatches(dataset),
            collate_fn=as_it_is,
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=start_worker,
            generator=torch.Generator(),  # else each new iterator takes a number from the run's own random state
        )
