"""Transfers batches from loader processes to the device: images as uint8, masks small, both finished on arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from addnet.data.dataset import DeepfakeDataset
from addnet.data.finish import finish_images, finish_masks
from addnet.data.samplers import SampleAddress

Batch = dict[str, Any]
_KEPT = ("label", "video", "valid", "face")


class UnfinishedBatches(Dataset[Batch]):
    """A data set that yields whole batches with the keys of `Sample`; `finish` converts them to its shapes and ranges.

    Images are (B, S, S, 3) uint8, masks (B, 1, s, s) float32 from `AttentionMask.draw_small`: a quarter and a ninth of
    the bytes.

    Args:
        dataset: Draws the samples.
    """

    def __init__(self, dataset: DeepfakeDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, addresses: Sequence[SampleAddress]) -> Batch:
        """The batch of the samples at these addresses."""
        size = self.dataset.geometry.size
        images = np.empty((len(addresses), size, size, 3), dtype=np.uint8)
        samples = [self.dataset.draw(address, out=image) for address, image in zip(addresses, images, strict=True)]
        return {
            "image": torch.from_numpy(images),
            "mask": torch.from_numpy(np.stack([sample.mask for sample in samples])[:, None]),
            "label": torch.tensor([sample.label for sample in samples]),
            "path": [sample.path for sample in samples],
            "video_id": [sample.video_id for sample in samples],
            "video": torch.tensor([sample.video for sample in samples]),
            "valid": torch.tensor([sample.valid for sample in samples]),
            "face": torch.tensor([sample.face for sample in samples]),
        }


def as_it_is(batch: Any) -> Any:
    """Returns the batch unchanged: the collate function for a data set that yields whole batches."""
    return batch


def finish(batch: Batch) -> Batch:
    """Converts a batch to the shapes and ranges of `Sample`, on its device; returns a finished batch unchanged."""
    if batch["image"].dtype != torch.uint8:
        return batch
    size = batch["image"].shape[1]
    # memory shared by a loader process keeps a file open as long as the tensor exists, and metrics keep it for an epoch
    own = {name: value.clone() for name, value in batch.items() if name in _KEPT}
    return batch | own | {"image": finish_images(batch["image"]), "mask": finish_masks(batch["mask"], size)}


class FinishingLoader(DataLoader[Batch]):
    """A loader that finishes its batches itself, for use without a Trainer."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        return map(finish, super().__iter__())
