"""The report at the end of a preparation: the images and their faces, and the files that were left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from numpy.typing import NDArray

from addnet import wording
from addnet.preparation.census import (
    CLASSES,
    ReadImage,
    brightness,
    classes_in,
    count,
    frames_per_video,
    normalised,
    shorter_sides,
    steps_in,
)
from addnet.preparation.plots import COLOUR_NAMES, overview
from addnet.preparation.sheet import LandmarksOf, examples_sheet, landmarks_in_row
from addnet.untrusted.texts import in_markdown, in_markdown_code

_LISTED = 20
_MEANINGS = {
    "given": "came with the data set",
    "detector": "found in the image as it is",
    "upsampled": "found in the image enlarged to twice its size",
    "padded": "found with a border around the image",
    "padded_upsampled": "found with a border around the image, enlarged to twice its size",
    "whole_picture": "no face found; the whole image was used as the box",
    "none": "no face: the mask is all ones",
    "checked": "not searched for a face yet",
}


def write_report(
    rows: pa.Table, folder: Path, *, read_image: ReadImage, landmarks: LandmarksOf = landmarks_in_row, seed: int = 0
) -> Path:
    """Writes `report.md` with `overview.png` and `examples.png` beside it.

    Args:
        rows: One row per image. Columns path, label (0, 1, -1), split, dataset, method, video_id, width, height, step,
            reason (null if usable), size in bytes; optionally brightness in [0, 255] and `points` (the 136 values of
            the landmarks). Any of them may be missing or null.
        folder: Folder for the report; created if it doesn't exist.
        read_image: Row (as a dictionary) → (H, W, 3) uint8, RGB, for the examples and, without a column of that name,
            for the brightness.
        landmarks: Row → (68, 2) in image pixels, or None.
        seed: Seed of the sampled images.

    Returns:
        The Markdown file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = normalised(rows)
    for name in ("brightness", "points"):
        if name in rows.column_names:
            table = table.append_column(name, rows[name])
    good = table.filter(table["reason"].is_null())
    luma = brightness(good, read_image, seed=seed)
    _save(overview(good, luma), folder / "overview.png")
    sheet = examples_sheet(good, read_image, landmarks=landmarks, seed=seed)
    if sheet:
        _save(sheet, folder / "examples.png")
    parts = [*_summary(table, good), *_faces(good), *_content(good), *_images(good, *luma), *_unusable(table)]
    if sheet:
        parts += ["## Examples", f"A few for each step; {_frames_of(classes_in(good))}.", "![](examples.png)"]
    file = folder / "report.md"
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return file


def _frames_of(labels: Sequence[int]) -> str:
    """The legend of the coloured frames around the examples, for the classes that occur."""
    named = [f"{COLOUR_NAMES[label]} frames are {CLASSES[label]}" for label in labels if label >= 0]
    return " and ".join(named) or "they have no labels"


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=110)


def _summary(table: pa.Table, good: pa.Table) -> list[str]:
    with_face = len(good) - sum(count(good, ["step"]).get((step,), 0) for step in ("none", "checked"))
    lines = (
        ("files", f"{len(table):,}"),
        ("usable images", _of(len(good), len(table))),
        ("with a face", _of(with_face, len(good))),
        ("videos", f"{len(frames_per_video(good)):,}"),
        ("size on disk", _bytes(pc.sum(good["size"]).as_py() or 0)),
    )
    return ["# Prepared data", _table(("", ""), lines), "![](overview.png)"]


def _faces(good: pa.Table) -> list[str]:
    labels = classes_in(good)
    counts = count(good, ["step", "label"])
    sums = {label: sum(counts.get((step, label), 0) for step in steps_in(good)) for label in labels}
    rows = []
    for step in steps_in(good):
        mine = [counts.get((step, label), 0) for label in labels]
        shares = [_of(number, sums[label]) for number, label in zip(mine, labels, strict=True)]
        rows.append((in_markdown_code(step), _of(sum(mine), len(good)), *shares, _MEANINGS.get(step, "")))
    text = (
        "If a step finds faces in one class far more often than in the other, "
        "the step alone distinguishes the classes, without any look at the faces."
    )
    head = ("step", "images", *(CLASSES[label] for label in labels), "landmarks")
    return [
        "## Faces by landmarker step",
        _table(head, rows, texts=("landmarks",)),
        *([text] if len(labels) > 1 else []),
    ]


def _content(good: pa.Table) -> list[str]:
    labels = classes_in(good)
    names = [CLASSES[label] for label in labels]
    sections = []
    for title, by in (("Splits and classes", ["split"]), ("Data sets and methods", ["dataset", "method"])):
        counts = count(good, [*by, "label"])
        keys = sorted({key[:-1] for key in counts})
        rows = []
        for key in keys:
            mine = [counts.get((*key, label), 0) for label in labels]
            names_of_key = (in_markdown(text) if text else "–" for text in key)
            rows.append((*names_of_key, *(f"{n:,}" for n in mine), f"{sum(mine):,}"))
        shown = _table((*by, *names, "images"), rows[:_LISTED], texts=by)
        sections += [f"## {title}", shown, *_more(len(rows))]
    return sections


def _images(good: pa.Table, luma: NDArray[Any], labels: NDArray[Any]) -> list[str]:
    sizes = good["size"].drop_null().to_numpy() / 1000
    quantities: list[tuple[str, NDArray[Any]]] = [
        ("shorter side (pixels)", shorter_sides(good)),
        ("file size (kB)", sizes),
        ("images per video", frames_per_video(good)),
    ]
    quantities += [(f"brightness, {CLASSES[label]} (0–255)", luma[labels == label]) for label in classes_in(good)]
    rows = [(name, *_spread(values)) for name, values in quantities if len(values)]
    head = ("", "smallest", "5 %", "median", "95 %", "largest")
    note = [] if len(luma) == len(good) else [f"Brightness was measured on {wording.count(len(luma), 'image')}."]
    return ["## Images", _table(head, rows), *note]


def _spread(values: NDArray[Any]) -> list[str]:
    return [f"{value:,.0f}" for value in np.quantile(values, (0, 0.05, 0.5, 0.95, 1))]


def _unusable(table: pa.Table) -> list[str]:
    bad = table.filter(table["reason"].is_valid())
    if not len(bad):
        return []
    listed = bad.slice(0, _LISTED).select(["path", "reason"]).to_pylist()
    rows = [(in_markdown_code(row["path"]), in_markdown(row["reason"])) for row in listed]
    lines = _table(("file", "reason"), rows, texts=("reason",))
    return [f"## Unusable files ({len(bad):,})", lines, *_more(len(bad))]


def _more(total: int) -> list[str]:
    return [f"… and {total - _LISTED:,} more."] if total > _LISTED else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: Sequence[str] = ()) -> str:
    """A Markdown table: the first column and those named in `texts` are left-aligned, the others right-aligned.

    Cells must be Markdown already.
    """
    rule = ["---" if i == 0 or name in texts else "---:" for i, name in enumerate(head)]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
