"""The face index: what was found in each picture, kept in one Parquet file beside the runs.

Points are kept, not masks: a mask drawn from points follows every augmentation and costs less than reading one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from addnet.errors import UserError
from addnet.faces.landmarks import Face, LandmarkDetector
from addnet.faces.scan import Finding, scan

log = logging.getLogger(__name__)

FORMAT = "1"
CHECKED = "checked"  # the file is a whole picture; nobody looked for a face yet
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("step", pa.string()),
        ("points", pa.list_(pa.float32(), 136)),
        ("box", pa.list_(pa.float32(), 4)),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known about one file.

    Attributes:
        size: Bytes; with `mtime_ns` it tells whether the file has changed since.
        mtime_ns: Time of its last change.
        shape: (height, width) of the picture.
        face: The face; None if unusable, or only checked so far.
        reason: Why the file is unusable; None if it is not.
    """

    size: int
    mtime_ns: int
    shape: tuple[int, int]
    face: Face | None
    reason: str | None


class FaceIndex:
    """Entries by path relative to a data folder, read from and written to one Parquet file.

    Args:
        file: The Parquet file; need not exist yet.
        root: The data folder.
        detector: Finds faces; None only checks that pictures are whole. Points of another detector are not
            used.

    Raises:
        UserError: The file is damaged or no face index.
    """

    def __init__(self, file: str | Path, root: str | Path, *, detector: LandmarkDetector | None) -> None:
        self.file = Path(file)
        self.root = Path(root)
        self.detector = detector
        self.entries: dict[str, Entry] = {}
        if self.file.exists():
            self._load()

    def __getitem__(self, path: str) -> Entry:
        return self.entries[path]

    def update(
        self,
        paths: Sequence[str],
        *,
        workers: int | None = None,
        progress: Callable[[Iterable[Finding], int], Iterable[Finding]] | None = None,
    ) -> int:
        """Examines the files that are new or changed and writes the index.

        What was found is kept also when this is interrupted.

        Args:
            paths: Relative to `root`.
            workers: Processes; default: all cores.
            progress: Wraps the iteration, for a progress bar: called with it and its length.

        Returns:
            How many files were examined.
        """
        stats = {path: os.stat(self.root / path) for path in paths}  # noqa: PTH116 - as fast as it gets
        stale = [path for path, stat in stats.items() if not self._is_current(path, stat)]
        if not stale:
            return 0
        findings: Iterable[Finding] = scan([self.root / path for path in stale], self.detector, workers=workers)
        if progress:
            findings = progress(findings, len(stale))
        try:
            for path, finding in zip(stale, findings, strict=True):
                stat = stats[path]
                self.entries[path] = Entry(stat.st_size, stat.st_mtime_ns, finding.shape, finding.face, finding.reason)
        finally:
            self.save()
        return len(stale)

    def _is_current(self, path: str, stat: os.stat_result) -> bool:
        entry = self.entries.get(path)
        if entry is None or (entry.size, entry.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            return False
        return self.detector is None or entry.face is not None or entry.reason is not None

    def save(self) -> None:
        """Writes the file whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        metadata = {"addnet.index": FORMAT, "addnet.detector": self._signature()}
        table = pa.table(_columns(self.entries), schema=_SCHEMA).replace_schema_metadata(metadata)
        try:
            pq.write_table(table, partial, compression="zstd")
            partial.replace(self.file)
        finally:
            partial.unlink(missing_ok=True)

    def _signature(self) -> str:
        return self.detector.signature() if self.detector else CHECKED

    def _load(self) -> None:
        try:
            table = pq.read_table(self.file)
            metadata = table.schema.metadata or {}
            if metadata.get(b"addnet.index") != FORMAT.encode() or table.schema.names != _SCHEMA.names:
                raise ValueError("written by another version or another program")
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{self.file} is damaged or not a face index ({reason}); "
                "delete it to have it made again, or set data.index to another file"
            ) from error
        if metadata.get(b"addnet.detector") not in (self._signature().encode(), CHECKED.encode()) and self.detector:
            log.warning("%s was made by another detector; its faces are found again", self.file)
            return
        self.entries = _entries(table)


def _columns(entries: dict[str, Entry]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    for path, entry in entries.items():
        face = entry.face
        row = (
            path,
            entry.size,
            entry.mtime_ns,
            *entry.shape,
            face.step if face else CHECKED,
            None if face is None or face.points is None else face.points.ravel(),
            None if face is None or face.box is None else face.box,
            entry.reason,
        )
        for name, value in zip(_SCHEMA.names, row, strict=True):
            columns[name].append(value)
    return columns


def _entries(table: pa.Table) -> dict[str, Entry]:
    points = _rows(table["points"], 136)
    boxes = _rows(table["box"], 4)
    plain = [table[name].to_pylist() for name in ("path", "size", "mtime_ns", "height", "width", "step", "reason")]
    entries = {}
    for row, (path, size, mtime_ns, height, width, step, reason) in enumerate(zip(*plain, strict=True)):
        face = None
        if step != CHECKED:
            landmarks = points[row]
            face = Face(step, None if landmarks is None else landmarks.reshape(68, 2), boxes[row])
        entries[path] = Entry(size, mtime_ns, (height, width), face, reason)
    return entries


def _rows(column: pa.ChunkedArray, width: int) -> list[np.ndarray[Any, np.dtype[np.float32]] | None]:
    """A fixed-size list column as one array a row, None where it is null."""
    valid = column.is_valid().to_numpy()
    values = np.zeros((len(column), width), dtype=np.float32)
    values[valid] = column.drop_null().combine_chunks().flatten().to_numpy().reshape(-1, width)
    return [row if present else None for row, present in zip(values, valid, strict=True)]
