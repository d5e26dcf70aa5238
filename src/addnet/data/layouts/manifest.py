"""A manifest: a table with one row per image or video, in CSV, JSON or JSON lines.

    path,label,split,source_video
    train/fake/abc_def.jpg,fake,train,abc

Only path and label are needed. Video, group, data set, method, frame number and persons are read if there is a column
for them (see `manifest_columns.SYNONYMS`); without one, the video is inferred from the names of folders and files.
Everything is done on whole columns, so that a million rows take seconds. JSON is parsed into objects first: use CSV for
many rows.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.data.layouts.guesses import video_of
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings, few
from addnet.data.layouts.manifest_columns import chosen_columns, present_texts, read_labels, texts
from addnet.data.layouts.manifest_paths import absent_files, kinds, normal_paths, refuse_outside, refuse_twice
from addnet.data.layouts.manifest_rows import SUFFIXES, Rows, read_rows
from addnet.data.layouts.manifest_splits import choose_splits
from addnet.data.layouts.side_by_side import chosen_kind
from addnet.errors import UserError, require_choice
from addnet.index.records import CLASS_NAMES, FAKE, REAL, Records
from addnet.wording import count

SPLITS = ("train", "val", "test")
_NUMBER = r"(?:^|[_\-. /]|frame)(?P<number>\d{1,9})$"
_NUMBER_OFF = r"(?:/(?:frame|image|img)?[_-]?|[_-](?:frame)?)\d+$"


def scan_manifest(
    file: Path,
    *,
    root: str | Path | None = None,
    columns: Mapping[str, str | None] | None = None,
    labels: Mapping[str, str | int] | None = None,
    split: str = "train",
    test_fraction: float | None = None,
    seed: int = 0,
    dataset: str | None = None,
    max_missing: float = 0.01,
    source: str = "auto",
    outside: bool = False,
) -> Listing:
    """Lists the images and videos of a manifest.

    Args:
        file: The manifest, or a folder with one called `manifest.csv`, `.json` or the like.
        root: Folder that its paths are relative to; None: that of the manifest. Absolute paths may point into it.
        columns: Field (`path`, `label`, `split`, `video`, `group` …) → column, where the usual names do not fit.
        labels: Text → `real` or `fake`, where the usual words do not fit.
        split: The split of all rows if there is no column for it.
        test_fraction: Share of each class in `train` to hold out for testing if no row is for testing; None: none.
        seed: Decides which groups are held out.
        dataset: Name of the data set; None: from a column, or the name of the folder.
        max_missing: Share of files that may be missing; they are left out and counted.
        source: `images` or `videos` lists only these; `auto` the kind that every class has, preferably images.
        outside: Whether paths may lead out of that folder; otherwise such a row is refused.

    Raises:
        UserError: The manifest can't be read, a row is invalid or leads out of the folder (the message names it), a
            path occurs twice, or too many files are missing.
    """
    require_choice("data.options.split", split, SPLITS)
    manifest = _manifest(file)
    folder = manifest.parent if root is None else Path(root).expanduser()
    chosen: dict[str, str] = {}

    def choose(header: list[str]) -> list[str]:
        chosen.update(chosen_columns(header, columns or {}))
        return list(chosen.values())

    rows = read_rows(manifest, choose)
    paths = normal_paths(rows, texts(rows, chosen["path"]))
    refuse_outside(rows, paths, folder, outside=outside)
    refuse_twice(rows, paths)
    are_videos = kinds(rows, paths, folder)
    findings = ListFindings()
    fields = _fields(rows, chosen, paths, are_videos, labels or {}, dataset or folder.absolute().name)
    splits = choose_splits(
        rows, chosen.get("split"), fields["group_id"], fields["label"], split=split, fraction=test_fraction, seed=seed
    )
    fields |= {"split": pa.array(splits, pa.string()), "root": "" if root is None else str(folder)}
    findings.notes += [*rows.notes, *_notes(chosen, splits)]
    listing = _listing(_records(fields, len(paths)), np.asarray(are_videos), rows, folder, max_missing, findings)
    return chosen_kind(listing, source, layout="manifest", root=manifest)


def _manifest(file: Path) -> Path:
    if file.is_file():
        return file
    if not file.is_dir():
        raise UserError(f"data.data_dir={file}: no such file; expected a manifest ({', '.join(SUFFIXES)})")
    found = [place for suffix in SUFFIXES if (place := file / f"manifest{suffix}").is_file()]
    if len(found) != 1:
        there = ", ".join(place.name for place in found) or "none"
        name = shlex.quote(f"data.data_dir={file}/manifest.csv")
        raise UserError(f"{file} must hold exactly one manifest (found: {there}); name the file: {name}")
    return found[0]


def _fields(
    rows: Rows,
    chosen: Mapping[str, str],
    paths: pa.Array,
    are_videos: pa.Array,
    words: Mapping[str, str | int],
    name: str,
) -> dict[str, Any]:
    """Field of a record → column, or one value for all; without splits."""
    labels = pa.array(read_labels(rows, chosen["label"], words))
    given = {field: present_texts(rows, chosen[field]) for field in chosen if field not in ("path", "label", "split")}
    bare = pc.replace_substring_regex(paths, r"\.[^./]*$", "")
    named = given.get("video")
    complete = named is not None and not pc.any(pc.equal(named, "")).as_py()
    video = named if complete else _or_else(named, pc.if_else(are_videos, bare, _by_names(bare)))
    dataset = _or_else(given.get("dataset"), pa.scalar(name))
    # class or method is part of the id, so that a video with both real and forged frames counts as two
    kind = pc.if_else(pc.equal(labels, REAL), CLASS_NAMES[REAL], _or_else(given.get("method"), CLASS_NAMES[FAKE]))
    return {
        "path": paths,
        "label": labels,
        "video_id": pc.binary_join_element_wise(dataset, kind, video, "/"),
        "group_id": pc.binary_join_element_wise(dataset, _or_else(given.get("group"), video), "/"),
        "dataset": dataset,
        "method": given.get("method", ""),
        "identity": given.get("identity", ""),
        "frame": _frames(rows, chosen.get("frame"), bare, are_videos),
    }


def _by_names(bare: pa.Array) -> pa.Array:
    """Videos of images, from paths without suffix: the video that a name contains, else the path without its number."""
    return pc.coalesce(
        pa.array([video_of(path) for path in bare.to_pylist()], pa.string()),
        pc.replace_substring_regex(bare, _NUMBER_OFF, "").cast(pa.string()),
    )


def _notes(chosen: Mapping[str, str], splits: NDArray[np.str_]) -> list[str]:
    notes = []
    if "video" not in chosen:
        notes.append("no column for the video: it is inferred from the names of folders and files")
    if "group" not in chosen:
        notes.append("no column for the source video: fakes are not kept together with their originals")
    if "test" not in splits:
        notes.append("no row is for testing: data.options.test_fraction=0.2 would hold out groups for it")
    return notes


def _or_else(values: pa.Array | None, instead: Any) -> Any:
    """Texts of a column, with `instead` where they are empty."""
    return instead if values is None else pc.if_else(pc.equal(values, ""), instead, values)


def _frames(rows: Rows, column: str | None, bare: pa.Array, are_videos: pa.Array) -> pa.Array:
    """Frame numbers, from the column or from the ends of names; -1 where there are none."""
    if column is None:
        numbers = pc.struct_field(pc.extract_regex(bare, _NUMBER), "number").cast(pa.int64())
        return pc.if_else(are_videos, -1, pc.fill_null(numbers, -1))
    values = texts(rows, column)
    wrong = np.flatnonzero(np.asarray(pc.invert(pc.match_substring_regex(values, r"^(-?\d{1,9}(\.0+)?)?$"))))
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{rows.file}, {rows.name(row)}: {column}={values[row].as_py()!r} is not a valid frame number; expected a "
            "whole number of at most 9 digits"
        )
    whole = pc.replace_substring_regex(values, r"\.0+$", "")
    return pc.fill_null(pc.if_else(pc.equal(whole, ""), None, whole).cast(pa.int64()), -1)


def _records(fields: Mapping[str, Any], number: int) -> Records:
    """Records from columns; a field without a column gets the default of a single record."""
    columns = []
    for field in Records.of([]).table.schema:
        default: Any = -1 if field.name == "offset" else 0 if field.name == "length" else ""
        value = fields.get(field.name, default)
        if not isinstance(value, pa.Array | pa.ChunkedArray):
            value = pa.repeat(value if isinstance(value, pa.Scalar) else pa.scalar(value), number)
        coded = pa.types.is_dictionary(field.type)
        columns.append(value.dictionary_encode() if coded else value.cast(field.type))
    return Records(pa.table(columns, names=Records.of([]).table.column_names))


def _listing(
    records: Records, are_videos: NDArray[np.bool_], rows: Rows, folder: Path, allowed: float, findings: ListFindings
) -> Listing:
    absent = absent_files(folder, records.paths)
    names = [records.paths[int(row)].as_py() for row in np.flatnonzero(absent)]
    if len(names) > allowed * len(records):
        absent_ones = f"{len(names):,} of {count(len(records), 'file')} of {rows.file}"
        raise UserError(
            f"{absent_ones} {'is' if len(names) == 1 else 'are'} not in {folder}: {few(names)}; see "
            f"data.options.root and data.options.max_missing{''.join(f'; {note}' for note in rows.notes)}"
        )
    findings.note(names, "file of the manifest is missing", "files of the manifest are missing")
    images, videos = records.take(~absent & ~are_videos), records.take(~absent & are_videos)
    return Listing(images, videos, findings.missing, findings.notes)
