"""A detector and the test images of a data module → scores by data set, in the order of the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from addnet.data import DeepfakeDataModule
from addnet.data.degradations import Degradation
from addnet.data.splits import limit
from addnet.errors import UserError, require_choice
from addnet.evaluation.scored import ScoredSet
from addnet.index.records import Records
from addnet.inference.detector import Detector

PRECISIONS = {"32-true": None, "32": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
_SIDES = (128, 256, 512, 1024)  # pixels: boundaries of the size groups
_GREYS = (0, 60, 100, 140, 180, 256)  # grey levels: boundaries of the groups by brightness of the face
_LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in a grey level (ITU-R BT.601)


class Batch(NamedTuple):
    """The results of a batch of images.

    Attributes:
        probabilities: (B,) probabilities of fake.
        valid: (B,) whether the image could be read and counts.
        brightness: (B,) brightness of the face, see `face_brightness`.
    """

    probabilities: NDArray[np.float64]
    valid: NDArray[np.bool_]
    brightness: NDArray[np.float64]


def score_batches(
    detector: Detector, batches: Iterable[dict[str, Any]], *, precision: str = "32-true"
) -> Iterator[Batch]:
    """Scores the batches of a loader.

    Args:
        detector: The detector.
        batches: Batches with the keys of `Sample`.
        precision: One of `PRECISIONS`, named as in Lightning.
    """
    for batch in batches:
        image, mask = (batch[name].to(detector.device, non_blocking=True) for name in ("image", "mask"))
        with torch.inference_mode(), _autocast(detector.device, precision):
            probabilities = detector.probabilities(image, mask)
        yield Batch(probabilities, batch["valid"].numpy(), face_brightness(image, mask).cpu().numpy())


def face_brightness(image: Tensor, mask: Tensor) -> Tensor:
    """Computes the brightness of faces, which depends on light, skin and camera.

    Args:
        image: (B, 3, S, S) in [-1, 1].
        mask: (B, 1, S, S) in [0, 1], the weights of the pixels.

    Returns:
        (B,) float64, weighted mean grey level, 0 to 255.
    """
    grey = (image.double() * image.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return ((grey + 1) * 127.5 * mask).sum(dim=(1, 2, 3)) / mask.double().sum(dim=(1, 2, 3))


def scored_sets(
    module: DeepfakeDataModule,
    probabilities: NDArray[np.float64],
    valid: NDArray[np.bool_],
    brightness: NDArray[np.float64],
    *,
    rows: Sequence[int] | None = None,
) -> dict[str, ScoredSet]:
    """Groups the scores of test images by data set; images that could not be read are left out.

    Args:
        module: A data module that has been set up, with a test split.
        probabilities: (N,) probabilities of fake, in the order of the test records, or of `rows`.
        valid: (N,) whether the image could be read and counts.
        brightness: (N,) brightness of the face, see `face_brightness`.
        rows: Numbers of the records that were scored; None: all.
    """
    part = module.splits["test"]
    # (M,) record numbers of the valid rows; `which` is the data set of each
    chosen = (np.arange(len(part.records)) if rows is None else np.asarray(rows))[valid]
    probabilities, brightness = probabilities[valid], brightness[valid]
    which, names = part.records.numbers("dataset")[chosen], part.records.names("dataset")
    return {
        names[number]: _scored(
            module, names[number], *(of[which == number] for of in (probabilities, brightness, chosen))
        )
        for number in np.unique(which).tolist()
    }


def _scored(
    module: DeepfakeDataModule,
    name: str,
    probabilities: NDArray[np.float64],
    brightness: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> ScoredSet:
    part = module.splits["test"]
    records = part.records.take(rows)
    # videos of these rows; for each video its first row, for each row the position of its video in `videos`
    videos, first, numbers = np.unique(records.numbers("video_id"), return_index=True, return_inverse=True)
    ids = records.names("video_id")
    labels = records.labels.astype(np.int64)
    methods = [
        method or ("fake" if label else "real")
        for method, label in zip(records.table["method"].to_pylist(), labels.tolist(), strict=True)
    ]
    steps = part.found_by.take(rows).to_pylist()
    groups = {
        "method": methods,
        "found by": ["no face" if step == "none" else step for step in steps],
        "size": [size_group(int(side)) for side in part.shapes[rows].max(axis=1)],
        "brightness of the face": [
            "no face" if step == "none" else grey_group(grey)
            for step, grey in zip(steps, brightness.tolist(), strict=True)
        ],
    }
    kept = {kind: names for kind, names in groups.items() if len(set(names)) > 1}
    paths, video_ids = records.paths.to_pylist(), [ids[video] for video in videos.tolist()]
    faces = np.array([step != "none" for step in steps])
    return ScoredSet(
        name, probabilities, labels, numbers.astype(np.int64), paths, video_ids, kept, faces, _sources(records, first)
    )


def _sources(records: Records, rows: NDArray[np.int64]) -> list[str]:
    """Returns the group ids of some rows."""
    names, numbers = records.names("group_id"), records.numbers("group_id")
    return [names[number] for number in numbers[rows].tolist()]


def size_group(side: int) -> str:
    """Returns the group of an image by its longer side.

    Example:
        >>> size_group(100), size_group(224), size_group(2000)
        ('below 128 px', '128 to 255 px', '1024 px and more')
    """
    if side < _SIDES[0]:
        return f"below {_SIDES[0]} px"
    for low, high in pairwise(_SIDES):
        if side < high:
            return f"{low} to {high - 1} px"
    return f"{_SIDES[-1]} px and more"


def grey_group(grey: float) -> str:
    """Returns the group of a face by its brightness.

    Example:
        >>> grey_group(12.3), grey_group(139.9), grey_group(255)
        ('0 to 59', '100 to 139', '180 to 255')
    """
    low, high = next((low, high) for low, high in pairwise(_GREYS) if grey < high)
    return f"{low} to {high - 1}"


def some_rows(module: DeepfakeDataModule, most: int | None, *, seed: int) -> list[int] | None:
    """Returns the numbers of about `most` test records of each data set, in whole groups; None: all records."""
    if most is None:
        return None
    records = module.splits["test"].records
    which = records.numbers("dataset")
    rows: list[int] = []
    for number in range(len(records.names("dataset"))):
        own = np.flatnonzero(which == number)
        kept = set(limit(records.take(own), most, seed=seed).paths.to_pylist())
        rows += [int(row) for row in own if records[int(row)].path in kept]
    return rows


def score_test(
    detector: Detector,
    module: DeepfakeDataModule,
    *,
    degradation: Degradation | None = None,
    rows: Sequence[int] | None = None,
    precision: str = "32-true",
) -> Iterator[Batch]:
    """Scores the test images of a data module batch by batch.

    Args:
        detector: The detector.
        module: A data module that has been set up, with a test split.
        degradation: Applied to the images first; None: none.
        rows: Numbers of the records to score; None: all.
        precision: One of `PRECISIONS`, named as in Lightning.

    Raises:
        UserError: The precision is unknown, or needs a GPU.
    """
    require_choice("precision", precision, PRECISIONS)
    yield from score_batches(
        detector, module.eval_loader("test", degradation=degradation, rows=rows), precision=precision
    )


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    dtype = PRECISIONS[precision]
    if dtype is None:
        return nullcontext()
    if device.type == "cpu" and dtype == torch.float16:
        raise UserError("precision=16-mixed needs a GPU; on the CPU use 32-true or bf16-mixed")
    return torch.autocast(device.type, dtype=dtype)
