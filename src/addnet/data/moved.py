"""Reuses the index or the faces of a data set that was moved, renamed or copied since it was prepared.

Indexes are named after the folder of their data set. An index with another name belongs to the same images or videos
if these have the same paths and the same content, which is checked on a sample. Each row that is taken over is checked
later, when its image is examined.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from addnet.data.sources import INDEX_NAME, Source
from addnet.errors import UserError
from addnet.index.faces import find
from addnet.index.file import check_landmarks, read_index, write_index
from addnet.index.journal import Journal
from addnet.index.landmarks import LandmarkStore
from addnet.index.lock import sole_writer
from addnet.index.records import Record, Records
from addnet.preparation.images import content_hash
from addnet.preparation.videos import VIDEOS, video_hash
from addnet.untrusted.files import status_of

log = logging.getLogger(__name__)

_SAMPLED = 32  # most images or videos that are compared


def take_over_images(source: Source, records: Records, *, wait: bool = True) -> Path | None:
    """Copies the index of the same images in another folder, if the data set has no index of its own yet.

    No row is trusted: when its image is examined, the content must be the same.

    Args:
        source: The data set.
        records: Its images.
        wait: Waits for another writer of the index instead of raising.

    Returns:
        The other index; None if nothing was copied.
    """
    file = source.index_file
    if source.index or file.exists() or Journal(file).file.exists():
        return None
    shares = {other: _same_images(source, other, records) for other in sorted(file.parent.glob("*.parquet"))}
    other = max(shares, key=shares.__getitem__, default=None)
    if other is None or shares[other] <= 0.5:
        return None
    with sole_writer(file, wait=wait):
        if file.exists():
            return None
        try:
            rows, _ = read_index(other)
            check_landmarks(other)
            store = LandmarkStore(other)
        except UserError as error:
            log.warning("%s", error)
            return None
        unchecked = pa.array(np.full(len(rows), -1, dtype=np.int64))  # a time of change that no file has
        rows = rows.set_column(rows.schema.get_field_index("mtime_ns"), rows.schema.field("mtime_ns"), unchecked)
        write_index(file, rows, lambda i, j: store.rows(np.arange(i, j)), root=str(source.root.resolve()))
    log.info("%s: starts with the results for the same images in %s; each image is read once to verify", file, other)
    return other


def take_over_videos(source: Source) -> Path | None:
    """Links a data set of videos to the faces that were cropped from them when they were in another folder.

    If the videos still exist in the other folder as well, or their content isn't known for certain, this only logs how
    to use those faces.

    Returns:
        The folder with the faces, to which the data set's own folder is now linked; None if nothing was linked.
    """
    folder = source.cut_dir
    if folder.is_symlink() and not folder.exists():
        folder.unlink()  # its target no longer exists
    wanted = source.used(source.listing.videos)
    if source.output or source.index or folder.exists() or not len(wanted):
        return None
    for other in sorted(Path(source.faces_dir).glob(f"*/{Journal(Path(VIDEOS)).file.name}")):
        entries = {entry["path"]: entry for entry, _ in Journal(other.with_name(VIDEOS)).replay()}
        some = [(record, entries.get(record.path, {})) for record in _some(wanted)]
        alike, same = (np.mean([test(source, *pair) for pair in some]) for test in (_looks_alike, _is_same))
        if max(alike, same) <= 0.5 or not (other.parent / INDEX_NAME).is_file():
            continue
        gone = not any(Path(entry["root"], entry["path"]).exists() for _, entry in some if entry)
        if same > 0.5 and gone and _linked(folder, other.parent):
            log.info("%s: reusing the faces of the same videos in %s", source.data_dir, other.parent)
            return other.parent
        log.warning(
            "%s: %s has faces of what look like the same videos; they are cropped again. To use those: data=index %s",
            source.data_dir,
            other.parent,
            shlex.quote(f"data.index={other.parent / INDEX_NAME}"),
        )
    return None


def _some(records: Records) -> Iterator[Record]:
    rows = np.unique(np.linspace(0, len(records) - 1, min(_SAMPLED, len(records))).round().astype(np.int64))
    yield from records.take(rows)


def _same_images(source: Source, other: Path, records: Records) -> float:
    """The share of sampled images that an index has with the same path and the same content."""
    try:
        rows, _ = read_index(other, columns=("path", "hash"))
    except UserError:
        return 0.0
    some = list(_some(records))
    places = find(rows["path"], pa.array([record.path for record in some], pa.large_string()))
    same = [
        place >= 0 and rows["hash"][int(place)].as_py() == _hash_of(source, record)
        for record, place in zip(some, places, strict=True)
    ]
    return float(np.mean(same)) if same else 0.0


def _hash_of(source: Source, record: Record) -> str:
    try:
        return content_hash(source.storage.read(source.root / record.path, record.offset, record.length))
    except UserError:
        return ""


def _looks_alike(source: Source, record: Record, entry: Mapping[str, Any]) -> bool:
    """Whether a video has the size and time that an entry records."""
    try:
        stat = status_of(source.data_root / record.path)
    except (OSError, UserError):
        return False
    return bool(entry) and (entry["size"], entry["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns)


def _is_same(source: Source, record: Record, entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("content")) and entry["content"] == video_hash(source.data_root / record.path)


def _linked(folder: Path, other: Path) -> bool:
    try:
        folder.symlink_to(other.resolve(), target_is_directory=True)
    except OSError:
        return False
    return True
