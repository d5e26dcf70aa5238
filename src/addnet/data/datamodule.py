"""The LightningDataModule: images and masks for training, validation, test and prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning.trainer.states import TrainerStatus
from torch.utils.data import DataLoader

from addnet.data.augment import Augment
from addnet.data.dataset import DeepfakeDataset, class_weights
from addnet.data.degradations import Degradation
from addnet.data.domain import domain_of
from addnet.data.epochs import Epochs
from addnet.data.loaders import BatchPlace, Loaders
from addnet.data.named import chosen_sources
from addnet.data.plan import DataPlan, Shares
from addnet.data.sources import INDEX, Source, archives_dir
from addnet.data.transfer import Batch, finish
from addnet.data.usable import UsableRecords
from addnet.errors import UserError, require_choice
from addnet.faces import AttentionMask, Geometry, Landmarker, SelfBlend
from addnet.index.records import FAKE, REAL
from addnet.index.storage import Storage
from addnet.preparation.settings import PrepareSettings

LANDMARKS = ("index", "on_the_fly")


class DeepfakeDataModule(pl.LightningDataModule):
    """Loads images and masks of data sets, with validation carved out of `train/` by group.

    Args:
        data_dir: The data folder.
        layout: Its layout: a name in `addnet.data.layouts.LAYOUTS`, or `index`: the index lists all images.
        options: Arguments of the layout.
        train: Data sets to train on instead of the one in `data_dir`; see `source_of`.
        val: Data sets to choose checkpoints and thresholds on; default: those trained on. See `select`.
        test: Data sets to test on; default: those trained on.
        generate: Called with `data_dir` before it is read; creates the data set if it doesn't exist.
        predict_dir: Images to predict, without labels.
        group_pattern: Pattern for groups, an option of `layout="folder"`; see `scan_folder`.
        video_pattern: Pattern for videos, an option of `layout="folder"`; see `scan_folder`.
        index: Parquet file with the landmarks; default: one file per data folder in `index_dir`.
        index_dir: Folder for indexes.
        faces_dir: Folder for faces that are cropped from videos.
        landmarks: `index`: found once and stored; `on_the_fly`: found in the loader for each sample.
        landmark_model: File of another 68-point landmark model than the packaged one.
        face_crops: Whether the images are crops of one face each.
        prepare: Settings for finding landmarks and cropping faces from videos.
        verify: With `layout="index"`: checks that files still exist and have the size recorded in the index.
        image_size: Side of the network's square input, in pixels.
        align: Rotates faces so that the line between the eyes is level.
        crop: `image` or `face`; see `Geometry`.
        margin: Margin around the face; see `Geometry`.
        mask: Draws the attention masks.
        mask_of: `own`, or `other`: each image gets the mask of an image from another video of its split, drawn anew
            each epoch in training. Shows whether the content of masks matters.
        augment: Random augmentation of training images.
        fakes: `given` by the data set; `self_blended`: made only of the real images of `train/`, each of which is in
            the same batch as its blend; or `mixed`: both. See `Epochs`.
        val_fakes: The same choice for validation, where the blends are the same in each epoch.
        blend_share: With `mixed`: share of blends among the fakes of an epoch.
        batch: `shuffled`, or `pairs`: a real and a fake image of one group in the same batch.
        pair_augment: Augmentation of the two images of a given pair: the `same`, or each its `own`.
        blend: Blends an image with itself.
        batch_size: Samples per batch on each process.
        num_workers: Number of loader processes; default: the number of cores, at most 8.
        balance: `none`, `sampler` (both classes equally often) or `loss_weight` (weights in the loss).
        val_fraction: Share of `train/` that becomes validation.
        test_fraction: Share of `train/` that is held out for testing if there are no test images; None: raises instead.
        allow_overlap: Turns a leak between train and test into a warning.
        max_bad_fraction: Largest share of unusable files with which a training or a test starts.
        limit_train: Approximate limit on the number of training images, in whole groups.
        limit_val: Approximate limit on the number of validation images, in whole groups.
        limit_test: Approximate limit on the number of test images, in whole groups.
        leave_out: A list of images that are left out of training; see `read_left_out`. Validation and test keep them.
        held_method: A method of making fakes that is held out of training and validation, and the only one tested;
            see `hold_back`.
        only_test: Prepares and loads only the test images: for evaluation.
        no_test: Prepares and loads no test images: for a training that ends without a test.
        seed: Seed of splits, order and augmentation.
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
        crop: str = "image",
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
        leave_out: str | None = None,
        held_method: str | None = None,
        only_test: bool = False,
        no_test: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not (data_dir or predict_dir or train or layout == INDEX or (test and only_test)):
            raise UserError(
                "data.data_dir is not set: name the folder that holds train/ and test/, "
                "or try experiment=demo, which needs no data"
            )
        require_choice("data.landmarks", landmarks, LANDMARKS)
        epochs = Epochs(fakes, val_fakes, blend_share, batch, pair_augment, balance)
        epochs.check(landmarks=landmarks, batch_size=batch_size)
        limits = {"train": limit_train, "val": limit_val, "test": limit_test}
        shares = Shares(
            val_fraction, test_fraction, allow_overlap, max_bad_fraction, limits, seed, leave_out, held_method
        )
        folders: dict[str, Any] = {"index_dir": index_dir, "faces_dir": faces_dir}
        chosen = chosen_sources(
            data_dir,
            layout=layout,
            options=options,
            train=train,
            val=val,
            test=test,
            index=index,
            group_pattern=group_pattern,
            video_pattern=video_pattern,
            only_test=only_test and test_fraction is None,  # with a fraction, the test images are part of train/
            no_test=no_test,
            **folders,
        )
        on_the_fly = landmarks == "on_the_fly"
        self.landmarker = Landmarker(landmark_model, face_crops=face_crops)
        self.plan = DataPlan(
            chosen,
            predict=[Source("unlabelled", predict_dir, **folders)] if predict_dir else [],
            generate=partial(generate, Path(data_dir)) if generate and data_dir else None,
            shares=shares,
            epochs=epochs,
            landmarker=self.landmarker,
            settings=prepare or PrepareSettings(),
            on_the_fly=on_the_fly,
            verify=verify,
            only_test=only_test,
            no_test=no_test,
        )
        self.loaders = Loaders(
            geometry=Geometry(size=image_size, align=align, crop=crop, margin=margin),
            mask=mask or AttentionMask(),
            mask_of=mask_of,
            augment=augment,
            blend=blend or SelfBlend(),
            epochs=epochs,
            storage=Storage(archives_dir(index_dir)),
            landmarker=self.landmarker if on_the_fly else None,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
        )
        self.epochs = epochs
        self.batch_size = batch_size
        self.balance = balance
        self.train_sources, self.val_sources, self.test_sources = chosen
        self._start = (0, 0)

    @property
    def splits(self) -> dict[str, UsableRecords]:
        """The usable records of each split; empty before `setup`."""
        return self.plan.splits

    @property
    def fingerprint(self) -> str:
        """Hash over all images of all splits; empty before `setup`."""
        return self.plan.fingerprint

    def list_data(self) -> None:
        """Lists the files in the data folders without opening any, so that missing data is reported at once.

        Raises:
            UserError: A data set doesn't exist or is incomplete.
        """
        self.plan.list_data()

    def prepare_data(self) -> None:
        """Finds the landmarks that aren't in the index yet; runs on one process only.

        Raises:
            UserError: The data set is incomplete, leaks between its splits, or has too many unusable files.
        """
        self.plan.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Reads the indexes on every process and builds the splits; later calls do nothing."""
        self.plan.setup()

    def summary(self, run_dir: str | Path) -> None:
        """Logs the contents of each split, and lists skipped files in `skipped.csv` in the run folder."""
        self.plan.summary(run_dir)

    def test_sets(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of the videos of each test data set, by its name; empty if there is only one data set."""
        videos = self.splits["test"].videos_by_dataset()
        return videos if len(videos) > 1 else {}

    def video_groups(self, split: str) -> NDArray[np.int64]:
        """(2·V,) number of the group of each video of a split; blends come after all given videos, as in `Sample`."""
        records = self.splits[split].records
        groups = np.zeros(len(records.names("video_id")), dtype=np.int64)
        groups[records.numbers("video_id")] = records.numbers("group_id")
        return np.concatenate([groups, groups])

    def class_weights(self) -> list[float] | None:
        """Class weights for the loss with `balance="loss_weight"`; otherwise None."""
        if self.balance != "loss_weight":
            return None
        return class_weights(np.repeat([REAL, FAKE], self.epochs.order("train", self.splits["train"]).classes()))

    def preprocessing(self) -> dict[str, Any]:
        """The preprocessing of images before the network, as plain values; saved in every checkpoint."""
        return self.loaders.preprocessing() | {"detector": self.landmarker.signature()}

    def framing(self) -> dict[str, Any] | None:
        """Position and size of faces in the training images, see `Framing`; saved in every checkpoint.

        None before `setup`, and if no landmarks are known.
        """
        part = self.splits.get("train")
        framing = None if part is None or self.plan.on_the_fly else part.framing()
        return framing.values() if framing else None

    def domain(self) -> dict[str, Any] | None:
        """Statistics of the training and validation images, see `Domain`; saved in every checkpoint.

        None before `setup`, and if no landmarks are known.
        """
        if self.plan.on_the_fly or not {"train", "val"} <= self.splits.keys():
            return None
        domain = domain_of(*((self.dataset(split), self.splits[split]) for split in ("train", "val")))
        return domain.values() if domain else None

    def start_at(self, *, epoch: int, batch: int) -> None:
        """Makes training resume where an interrupted run stopped: before this batch of this epoch, on each process."""
        self._start = (epoch, batch * self.batch_size)

    def dataset(self, split: str, *, degradation: Degradation | None = None) -> DeepfakeDataset:
        """The data set of one split; only `train` is augmented.

        Args:
            split: `train`, `val`, `test` or `predict`.
            degradation: Damage applied to each image.
        """
        return self.loaders.dataset(split, self.splits[split], degradation=degradation)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training batches, shuffled and augmented; an incomplete last batch is dropped unless it is the only one."""
        return self.loaders.training(self.splits["train"], self._place(), start=self._start)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation batches in order; rows marked invalid give each rank equally many."""
        return self.eval_loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Test batches in order; rows marked invalid give each rank equally many."""
        return self.eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The images of `predict_dir`."""
        return self.eval_loader("predict")

    def eval_loader(
        self, split: str, *, degradation: Degradation | None = None, rows: Sequence[int] | None = None
    ) -> DataLoader[Batch]:
        """Batches of a split in order, without augmentation.

        Args:
            split: Name of the split, such as `test`.
            degradation: Damage applied to each image.
            rows: Numbers of the records to load; None: all, with rows marked invalid so that each rank has equally
                many.
        """
        return self.loaders.evaluation(split, self.splits[split], self._place(), degradation=degradation, rows=rows)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Finishes a batch on the network's device, unless its loader has done so."""
        return finish(batch)

    def _place(self) -> BatchPlace:
        if self.trainer is None:
            return BatchPlace()
        at_work = self.trainer.state.status == TrainerStatus.RUNNING
        return BatchPlace(self.trainer.global_rank, self.trainer.world_size, at_work)
