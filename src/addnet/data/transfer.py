"""How batches travel from loader processes to the device: images as bytes, masks small, finished on arrival."""

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
    """A data set as loaders read it: whole batches, with the keys of `Sample`. `finish` gives what it describes.

    Images are (B, S, S, 3) uint8, masks (B, 1, s, s) float32 as `AttentionMask.draw_small` gives them: a quarter and a
    ninth of the bytes.

    Args:
        dataset: Draws the samples.
    """

    def __init__(self, dataset: DeepfakeDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, addresses: Sequence[SampleAddress]) -> Batch:
        """A batch."""
        size = self.dataset.geometry.size
        images = np.empty((len(addresses), size, size, 3), dtype=np.uint8)
        drawn = [self.dataset.draw(address, out=image) for address, image in zip(addresses, images, strict=True)]
        return {
            "image": torch.from_numpy(images),
            "mask": torch.from_numpy(np.stack([one.mask for one in drawn])[:, None]),
            "label": torch.tensor([one.label for one in drawn]),
            "path": [one.path for one in drawn],
            "video_id": [one.video_id for one in drawn],
            "video": torch.tensor([one.video for one in drawn]),
            "valid": torch.tensor([one.valid for one in drawn]),
            "face": torch.tensor([one.face for one in drawn]),
        }


def as_it_is(batch: Any) -> Any:
    """What a loader makes of a whole batch: nothing."""
    return batch


def finish(batch: Batch) -> Batch:
    """A batch of the shapes and ranges that `Sample` describes, on its device; one that is finished is left alone."""
    if batch["image"].dtype != torch.uint8:
        return batch
    size = batch["image"].shape[1]
    # memory that a loader process shared keeps a file open as long as anybody has the tensor, as metrics of an epoch do
    own = {name: value.clone() for name, value in batch.items() if name in _KEPT}
    return batch | own | {"image": finish_images(batch["image"]), "mask": finish_masks(batch["mask"], size)}


class FinishingLoader(DataLoader[Batch]):
    """A loader that finishes its batches itself, for use without a Trainer."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        return map(finish, super().__iter__())
