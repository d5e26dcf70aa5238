"""Records and landmarks → samples: warps each image once, and draws its mask from the warped landmarks."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from addnet.data.augment import Augment
from addnet.data.finish import finish_images, finish_masks
from addnet.data.hook import Hook, SamplePosition, UnwarpedSample
from addnet.data.partners import MASKS_OF, MaskOfOther
from addnet.data.samplers import SampleAddress
from addnet.errors import UserError, require_choice
from addnet.faces.geometry import Geometry, Jitter, Landmarks
from addnet.faces.images import ImageArray, decode_image
from addnet.faces.landmarks import Landmarker
from addnet.faces.masks import AttentionMask, Mask
from addnet.faces.views import landmarks_in_view, view
from addnet.index.records import Record, Records
from addnet.index.storage import Storage

BLENDED = " (self-blended)"
_GREY = 128  # value of all pixels of an image that couldn't be read


class Sample(TypedDict):
    """One sample; a batch has the same keys.

    Attributes:
        image: (3, S, S) float32 in [-1, 1].
        mask: (1, S, S) float32 in [0, 1].
        label: 0 real, 1 fake, -1 unknown.
        path: Relative to the data folder.
        video_id: `dataset/class/video`, followed by `BLENDED` for a self-blended fake.
        video: Number of the video in this data set, int64; those of self-blended fakes come after all others.
        valid: False if the row must not count: padding, or a file that couldn't be read.
        face: False if no face was found, so that the mask is all ones.
    """

    image: Tensor
    mask: Tensor
    label: int
    path: str
    video_id: str
    video: int
    valid: bool
    face: bool


class RawSample(NamedTuple):
    """A sample before it is finished, as it leaves a loader process.

    Attributes:
        image: (S, S, 3) uint8.
        mask: (s, s) float32 in [0, 1], from `AttentionMask.draw_small`.
        label: 0 real, 1 fake, -1 unknown.
        path: Relative to the data folder.
        video_id: `dataset/class/video`, followed by `BLENDED` for a self-blended fake.
        video: Number of the video in this data set; those of self-blended fakes come after all others.
        valid: False if the file couldn't be read, or the row is padding.
        face: False if no face was found.
    """

    image: ImageArray
    mask: Mask
    label: int
    path: str
    video_id: str
    video: int
    valid: bool
    face: bool


class DeepfakeDataset(Dataset[Sample]):
    """Images of faces with their attention masks.

    Args:
        root: The data folder; may be empty if the records name theirs.
        records: Its images.
        landmarks: (68, 2) of each record, or None where no face was found; or a landmarker that finds them while
            loading.
        geometry: Decides which part of an image is shown to the network.
        mask: Draws the masks.
        shapes: (height, width) of each record; None: read from its file when `mask_of` needs it.
        augment: Random augmentation; None for evaluation.
        mask_of: `own`, or `other`: each image gets the mask of an image of another video, if there is one.
        hooks: Changes of each sample before it is warped, in this order; see `addnet.data.hook`.
        storage: Reads files and members of archives.
        seed: First part of the address that decides augmentation and partners.

    Raises:
        UserError: `mask_of` is neither `own` nor `other`, or `other` and there is no other image.
    """

    def __init__(
        self,
        root: str | Path,
        records: Sequence[Record],
        *,
        landmarks: Sequence[Landmarks | None] | Landmarker,
        geometry: Geometry,
        mask: AttentionMask,
        shapes: Sequence[tuple[int, int]] | NDArray[np.int64] | None = None,
        augment: Augment | None = None,
        mask_of: str = "own",
        hooks: Sequence[Hook] = (),
        storage: Storage | None = None,
        seed: int = 0,
    ) -> None:
        self.root = Path(root)
        self.records = Records.of(records)
        self.landmarks = landmarks
        self.shapes = shapes
        self.geometry = geometry
        self.mask = mask
        self.augment = augment
        self.storage = storage or Storage()
        self.seed = seed
        self.labels = self.records.labels
        self._videos = self.records.numbers("video_id")
        self._video_count = len(self.records.names("video_id"))
        require_choice("data.mask_of", mask_of, MASKS_OF)
        others = [MaskOfOther(self._videos, self._face)] if mask_of == "other" else []
        self.hooks: tuple[Hook, ...] = (*hooks, *others)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, address: int | SampleAddress) -> Sample:
        """The sample at an address; a plain index stands for its first occurrence in epoch 0.

        A file that was intact when it was indexed but can't be read now yields a grey, invalid row.
        """
        raw = self.draw(address)
        planes = torch.from_numpy(np.stack(cv2.split(raw.image)))  # while it is uint8, a quarter of the bytes
        return {
            "image": finish_images(planes.movedim(0, -1)),
            "mask": finish_masks(torch.from_numpy(raw.mask)[None, None], self.geometry.size)[0],
            "label": raw.label,
            "path": raw.path,
            "video_id": raw.video_id,
            "video": raw.video,
            "valid": raw.valid,
            "face": raw.face,
        }

    def draw(self, address: int | SampleAddress, *, out: ImageArray | None = None) -> RawSample:
        """The sample at an address, before it is finished.

        Args:
            address: The image and its augmentation; a plain index stands for its first occurrence in epoch 0.
            out: (S, S, 3) uint8 to which the image is written.
        """
        if not isinstance(address, SampleAddress):
            address = SampleAddress(address)
        record = self.records[address.record]
        at = self.at(address)
        seen = np.empty((self.geometry.size, self.geometry.size, 3), dtype=np.uint8) if out is None else out
        try:
            mask, label, face = self._draw(at, seen)
            valid = address.valid
        except UserError:
            seen.fill(_GREY)
            mask, label, face = self._mask(None), record.label, False
            valid = False
        video, video_id = int(self._videos[address.record]), record.video_id
        if address.blend == "fake":  # frames of a video have one label
            video, video_id = video + self._video_count, video_id + BLENDED
        return RawSample(seen, mask, label, record.path, video_id, video, valid, face)

    def read(self, index: int) -> ImageArray:
        """The image of a record as it is on disk, (H, W, 3) uint8.

        Raises:
            UserError: The image can't be read.
        """
        return self._read(self.records[index])

    def at(self, address: SampleAddress) -> SamplePosition:
        """The position of a sample, from which its hooks draw."""
        return SamplePosition(address.record, self._key(address), address.blend)

    def unwarped(self, at: SamplePosition) -> UnwarpedSample:
        """The sample as it is on disk, before any hook.

        Raises:
            UserError: The image can't be read.
        """
        record = self.records[at.record]
        image = self._read(record)
        return UnwarpedSample(image, self._landmarks(at.record, image), record.label)

    def _draw(self, at: SamplePosition, out: ImageArray) -> tuple[Mask, int, bool]:
        """Writes the warped image to `out`; returns its mask, its label, and whether it has a face."""
        sample = self.unwarped(at)
        for hook in self.hooks:
            sample = hook(sample, at)
        jitter, photometric, without_mask = Jitter(), None, False
        if self.augment:
            jitter, photometric, without_mask = self.augment.draw(at.key)
        seen = view(sample.image, sample.landmarks, self.geometry, jitter=jitter, light=photometric, out=out)
        landmarks = seen.landmarks
        if sample.mask_from is not None:
            landmarks = landmarks_in_view(*sample.mask_from, self.geometry, jitter=jitter)
        mask = self._mask(None if without_mask else landmarks)
        return mask, sample.label, sample.landmarks is not None

    def _mask(self, landmarks: Landmarks | None) -> Mask:
        return self.mask.draw_small(landmarks, self.geometry.size)

    def _face(self, index: int) -> tuple[tuple[int, ...], Landmarks | None]:
        """Shape and landmarks of a record; reads its file only if the index doesn't have both."""
        if self.shapes is not None and not isinstance(self.landmarks, Landmarker):
            height, width = self.shapes[index]
            return (int(height), int(width)), self.landmarks[index]
        try:
            image = self._read(self.records[index])
        except UserError:
            return (1, 1), None  # damaged since it was indexed: a mask of ones
        return image.shape, self._landmarks(index, image)

    def _key(self, address: SampleAddress) -> tuple[int, ...]:
        # the path, not its position: adding an image must not change the augmentation of the others
        record = self.records[address.record if address.like < 0 else address.like]
        return self.seed, address.epoch, zlib.crc32(record.path.encode()), address.repeat

    def _landmarks(self, index: int, image: ImageArray) -> Landmarks | None:
        return self.landmarks(image).landmarks if isinstance(self.landmarks, Landmarker) else self.landmarks[index]

    def _read(self, record: Record) -> ImageArray:
        return read_record(record, self.storage, self.root)


def read_record(record: Record, storage: Storage, root: str | Path = "") -> ImageArray:
    """The image of a record as it is on disk, (H, W, 3) uint8.

    Args:
        record: The record, which says where the image is.
        storage: Reads files and members of archives.
        root: The data folder, for records that don't name theirs.

    Raises:
        UserError: The image can't be read.
    """
    path = os.path.join(root, record.root, record.path)  # noqa: PTH118 - once a sample
    return decode_image(storage.read(path, record.offset, record.length), path)


def class_weights(labels: Sequence[int] | NDArray[np.int8]) -> list[float]:
    """Weights that give both classes the same share in the loss: N / (classes · count).

    Example:
        >>> class_weights([0, 0, 0, 1])
        [0.6666666666666666, 2.0]
    """
    counts: Any = np.bincount(labels, minlength=2)
    return [float(len(labels) / (len(counts) * count)) for count in counts]
