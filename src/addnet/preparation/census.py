"""Counts over a prepared table, vectorised for millions of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.images import ImageArray
from addnet.faces.landmarks import STEPS

CLASSES = {0: "real", 1: "fake", -1: "unlabelled"}
_ORDER = ("given", *STEPS, "checked")
_TYPES: dict[str, pa.DataType] = {
    "path": pa.large_string(),
    "label": pa.int64(),
    "split": pa.string(),
    "dataset": pa.string(),
    "method": pa.string(),
    "video_id": pa.string(),
    "width": pa.int64(),
    "height": pa.int64(),
    "step": pa.string(),
    "reason": pa.string(),
    "size": pa.int64(),
}
_SAMPLE = 2000

ReadImage = Callable[[dict[str, Any]], ImageArray]


def normalised(rows: pa.Table) -> pa.Table:
    """The columns to count, with plain types; a missing column becomes nulls, a missing label -1."""
    columns = {}
    for name, kind in _TYPES.items():
        column = rows[name] if name in rows.column_names else pa.nulls(len(rows), kind)
        columns[name] = column.cast(kind)
    columns["label"] = pc.fill_null(columns["label"], -1)
    columns["step"] = pc.fill_null(columns["step"], "checked")
    for name in ("split", "dataset", "method"):
        columns[name] = pc.fill_null(columns[name], "")
    return pa.table(columns)


def count(rows: pa.Table, by: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """The number of rows for each combination of values of some columns."""
    groups = rows.group_by(list(by)).aggregate([([], "count_all")])
    keys = zip(*(groups[name].to_pylist() for name in by), strict=True)
    return dict(zip(keys, groups["count_all"].to_pylist(), strict=True))


def steps_in(rows: pa.Table) -> list[str]:
    """The landmarker steps that occur, from the first try to the last."""
    names = pc.unique(rows["step"]).to_pylist()
    return sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))


def classes_in(rows: pa.Table) -> list[int]:
    """The labels that occur: real, fake, unlabelled."""
    present = set(pc.unique(rows["label"]).to_pylist())
    return [label for label in CLASSES if label in present]


def frames_per_video(rows: pa.Table) -> NDArray[np.int64]:
    """(V,) number of images of each video; rows without a video are left out."""
    named = rows.filter(pc.fill_null(pc.not_equal(rows["video_id"], ""), False))
    videos = named.group_by("video_id").aggregate([([], "count_all")])
    return np.asarray(videos["count_all"].to_numpy(), dtype=np.int64)


def shorter_sides(rows: pa.Table) -> NDArray[np.int64]:
    """(N,) shorter side in pixels of the images whose size is known."""
    sides = pc.min_element_wise(rows["width"], rows["height"]).drop_null()
    return np.asarray(sides.to_numpy(), dtype=np.int64)


def brightness(rows: pa.Table, read_image: ReadImage, *, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the mean luma of each image, from the column `brightness` or measured on at most 2,000 sampled images.

    Args:
        rows: Usable rows with their label.
        read_image: Row → (H, W, 3) uint8, RGB; unreadable images are left out.
        seed: Seed of the sample.

    Returns:
        (M,) float64 in [0, 255], and the (M,) labels.
    """
    if "brightness" in rows.column_names:
        known = rows.filter(rows["brightness"].is_valid())
        return known["brightness"].to_numpy().astype(np.float64), known["label"].to_numpy()
    values, labels = [], []
    for row in sample(rows, _SAMPLE, seed=seed).to_pylist():
        if (image := readable(row, read_image)) is not None:
            values.append(float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()))
            labels.append(row["label"])
    return np.array(values, dtype=np.float64), np.array(labels, dtype=np.int64)


def sample(rows: pa.Table, size: int, *, seed: int) -> pa.Table:
    """At most `size` rows, drawn at random with this seed, in their original order."""
    if len(rows) <= size:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), size, replace=False)
    return rows.take(pa.array(np.sort(chosen)))


def readable(row: dict[str, Any], read_image: ReadImage) -> ImageArray | None:
    """The image of a row; None if it can no longer be read, because a report must not fail over it."""
    try:
        return read_image(row)
    except (UserError, OSError):
        return None
