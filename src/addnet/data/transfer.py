"""How batches travel from loader processes to the device: as one block of bytes, finished there.

Sharing one more tensor between processes costs as much as a third of a sample, so a batch is one tensor. Pictures stay
bytes and masks small until they are where the network runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from addnet.data.blocks import SharedBlocks
from addnet.data.dataset import DeepfakeDataset, finish_images, finish_masks
from addnet.data.samplers import Address

Batch = dict[str, Any]
_NUMBERS = 4  # of a sample: label, video, valid, face


class PackedBatches(Dataset[Batch]):
    """A data set as loaders read it: whole batches, packed. `unpack` gives what `Sample` describes.

    Args:
        dataset: Draws the samples.
    """

    def __init__(self, dataset: DeepfakeDataset) -> None:
        self.dataset = dataset
        self._blocks = SharedBlocks()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, addresses: Sequence[Address]) -> Batch:
        """A batch as `block`, the bytes of all that is numbers, and what cuts them up."""
        count, size = len(addresses), self.dataset.geometry.size
        side = self.dataset.mask.side(size)
        block, sent = self._blocks.lend(sum(_lengths(count, size, side)))
        numbers, masks, images = (part.numpy() for part in _parts(block, count, size, side))
        paths, video_ids = [], []
        for place, address in enumerate(addresses):
            drawn = self.dataset.draw(address, out=images[place])
            masks[place, 0] = drawn.mask
            numbers[:, place] = drawn.label, drawn.video, drawn.valid, drawn.face
            paths.append(drawn.path)
            video_ids.append(drawn.video_id)
        return {"block": sent, "size": size, "side": side, "path": paths, "video_id": video_ids}


def as_packed(batch: Any) -> Any:
    """What a loader makes of a packed batch: nothing."""
    return batch


def unpack(batch: Batch) -> Batch:
    """A batch of the shapes and ranges that `Sample` describes, on the device that the packed one is on."""
    numbers, masks, images = _parts(batch["block"], len(batch["path"]), batch["size"], batch["side"])
    label, video, valid, face = numbers.clone()  # a view would keep the whole block
    rest = {"path": batch["path"], "video_id": batch["video_id"], "video": video}
    image, mask = finish_images(images), finish_masks(masks, batch["size"])
    return {"image": image, "mask": mask, "label": label, "valid": valid.bool(), "face": face.bool()} | rest


class UnpackingLoader(DataLoader[Batch]):
    """A loader of packed batches that unpacks them itself, for use without a Trainer."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        return map(unpack, super().__iter__())


def _lengths(count: int, size: int, side: int) -> tuple[int, int, int]:
    """Bytes of numbers, masks and images."""
    return _NUMBERS * 8 * count, 4 * count * side**2, 3 * count * size**2


def _parts(block: Tensor, count: int, size: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """(4, B) int64 labels, videos, flags; (B, 1, s, s) float32 masks; (B, S, S, 3) uint8: views of the block."""
    numbers, masks, images = torch.split(block, list(_lengths(count, size, side)))
    shape = (count, size, size, 3)
    return (
        numbers.view(torch.int64).view(_NUMBERS, count),
        masks.view(torch.float32).view(count, 1, side, side),
        images.view(shape),
    )
