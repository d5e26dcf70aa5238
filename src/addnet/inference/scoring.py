"""A detector and the test pictures of a data module → scores, data set by data set, in the order of the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from addnet.data import DeepfakeDataModule
from addnet.data.degradations import Degradation
from addnet.data.splits import limit
from addnet.errors import UserError, require_choice
from addnet.evaluation.scored import ScoredSet
from addnet.index.records import Records
from addnet.inference.detector import Detector

PRECISIONS = {"32-true": None, "32": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
_SIDES = (128, 256, 512, 1024)  # pixels: where size groups begin and end


def score_batches(
    detector: Detector, batches: Iterable[dict[str, Any]], *, precision: str = "32-true"
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Scores batches of a loader.

    Args:
        detector: The detector that is asked.
        batches: As `Sample` describes them.
        precision: As Lightning names it, one of `PRECISIONS`.

    Returns:
        Of each batch: (B,) probability of fake, and (B,) whether the row counts.
    """
    for batch in batches:
        image, mask = (batch[name].to(detector.device, non_blocking=True) for name in ("image", "mask"))
        with torch.inference_mode(), _autocast(detector.device, precision):
            probabilities = detector.probabilities(image, mask)
        yield probabilities, batch["valid"].numpy()


def scored_sets(
    module: DeepfakeDataModule,
    probabilities: NDArray[np.float64],
    valid: NDArray[np.bool_],
    *,
    rows: Sequence[int] | None = None,
) -> dict[str, ScoredSet]:
    """Scores of test pictures by data set; pictures that could not be read are left out.

    Args:
        module: Set up, with a test split.
        probabilities: (N,) in the order of the test records, or of `rows`.
        valid: (N,) whether a row counts.
        rows: Numbers of the records that were scored; None: all.
    """
    part = module.splits["test"]
    chosen = (np.arange(len(part.records)) if rows is None else np.asarray(rows))[valid]
    probabilities = probabilities[valid]
    which, names = part.records.numbers("dataset")[chosen], part.records.names("dataset")
    return {
        names[number]: _scored(module, names[number], probabilities[which == number], chosen[which == number])
        for number in np.unique(which).tolist()
    }


def _scored(
    module: DeepfakeDataModule, name: str, probabilities: NDArray[np.float64], rows: NDArray[np.int64]
) -> ScoredSet:
    part = module.splits["test"]
    records = part.records.take(rows)
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
    }
    kept = {kind: names for kind, names in groups.items() if len(set(names)) > 1}
    paths, video_ids = records.paths.to_pylist(), [ids[video] for video in videos.tolist()]
    faces = np.array([step != "none" for step in steps])
    return ScoredSet(
        name, probabilities, labels, numbers.astype(np.int64), paths, video_ids, kept, faces, _sources(records, first)
    )


def _sources(records: Records, rows: NDArray[np.int64]) -> list[str]:
    """Groups of some rows."""
    names, numbers = records.names("group_id"), records.numbers("group_id")
    return [names[number] for number in numbers[rows].tolist()]


def size_group(side: int) -> str:
    """A name for the longer side of a picture.

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


def some_rows(module: DeepfakeDataModule, most: int | None, *, seed: int) -> list[int] | None:
    """Numbers of about so many test records of each data set, whole groups; None: all."""
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
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Scores the test pictures of a data module, batch by batch; see `score_batches`."""
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
