"""Brings an index up to date: reads the known rows, adds new ones, and writes the file at the end."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from addnet.errors import NotWrittenError
from addnet.index.faces import find
from addnet.index.file import (
    NAMES,
    DamagedIndexError,
    check_landmarks,
    empty_rows,
    partial_files,
    read_index,
    rows_of,
    write_index,
)
from addnet.index.journal import Journal, Line
from addnet.index.landmarks import VALUES, LandmarkStore, Rows
from addnet.index.lock import sole_writer
from addnet.index.records import FIELDS, Records
from addnet.wording import count

log = logging.getLogger(__name__)

_BLOCK = 20_000
RECORDED = tuple(name for name in FIELDS if name != "root")


class IndexUpdate:
    """The single writer of an index. Each added row is on disk at once; the index itself is written at the end.

    If an exception ends the work, the rows added so far are written to the index. If the process is killed, they are
    in the journal, from which the next writer takes them.

    Args:
        file: The index; it need not exist yet. A damaged one is set aside and made again.
        root: The data folder.
        wait: Waits for another writer instead of raising.

    Raises:
        UserError: Another process is writing the index, or the file isn't an index.
        NotWrittenError: Raised by any of the methods: the disk is full, or writing isn't allowed.
    """

    def __init__(self, file: str | Path, root: str | Path, *, wait: bool = True) -> None:
        self.file = Path(file)
        self.root = Path(root)
        self.added = 0
        self._wait = wait
        self._rows: list[dict[str, Any]] = []
        self._tables: list[pa.Table] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(sole_writer(self.file, wait=self._wait))
            for leftover in partial_files(self.file):  # of a writer that was killed: we hold the lock
                leftover.unlink(missing_ok=True)
            self.known, self._store = self._read()
            self._spool = stack.enter_context(tempfile.TemporaryFile(prefix="addnet-landmarks-"))
            self._tables = [self.known]
            self._journal = Journal(self.file)
            for row, landmarks in self._of_this_version(self._journal.replay()):
                self._keep(row, landmarks)
            stack.enter_context(self._journal)
            self.known = self._all()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if self._unfinished and not isinstance(error, NotWrittenError):  # if it is, the journal has all rows
                self.finish(None)

    @property
    def _unfinished(self) -> bool:
        return bool(self._rows or len(self._tables) > 1)

    def add(self, row: dict[str, Any], landmarks: Rows | None) -> None:
        """Adds the row of one image: a value for each column of the index, and the 136 values of its landmarks."""
        self._journal.append(row, landmarks)
        try:
            self._keep(row, landmarks)
        except OSError as error:
            raise self._not_written(error) from error
        self.added += 1

    def find(self, paths: pa.LargeStringArray) -> NDArray[np.int64]:
        """(N,) position of each path in `known`; -1 for unknown paths."""
        return find(self.known["path"], paths)

    def rows(self) -> pa.Table:
        """All rows: the known ones, then the added ones. If a path occurs several times, its last row is valid."""
        return self._all()

    def find_row(self, paths: pa.LargeStringArray) -> NDArray[np.int64]:
        """(N,) position of each path in `rows()`; -1 for paths that aren't there."""
        return find(self._all()["path"], paths)

    def row(self, position: int) -> tuple[dict[str, Any], Rows | None]:
        """The row at a position of `known`: its columns, and the 136 values of its landmarks."""
        return self.known.slice(position, 1).to_pylist()[0], self._landmarks(np.array([position]))[0]

    def finish(self, records: Records | None) -> None:
        """Writes the index if it has changed, and removes the journal.

        Args:
            records: What is known about each image beforehand; it replaces these columns of the index. Rows of other
                images stay as long as their files exist. None: all rows stay as they are, and the journal stays,
                empty, as a sign that preparation didn't finish.
        """
        rows = self._all()
        chosen = self._chosen(rows, records)
        table = _described(rows.take(pa.array(chosen)), records)
        if len(self._tables) == 1 and self.file.is_file() and _same(table, self._tables[0]):
            self._journal.clear(unfinished=records is None)
            return
        try:
            write_index(
                self.file, table, lambda start, stop: self._landmarks(chosen[start:stop]), root=self._stored_root()
            )
        except OSError as error:
            raise self._not_written(error) from error
        self._journal.clear(unfinished=records is None)
        self._rows, self._tables = [], [table]

    def _not_written(self, error: OSError) -> NotWrittenError:
        return NotWrittenError(
            f"{self.file} cannot be written: {error.strerror or error}; the results so far are kept in "
            f"{self._journal.file.name} beside it: make room and start again"
        )

    def _read(self) -> tuple[pa.Table, LandmarkStore | None]:
        if not self.file.exists():
            return empty_rows(), None
        try:
            rows, _ = read_index(self.file)
            check_landmarks(self.file)
            return rows, LandmarkStore(self.file)
        except DamagedIndexError as error:
            aside = self.file.with_name(f"{self.file.name}.damaged")
            self.file.replace(aside)
            log.warning("%s; it is set aside as %s and made again", error, aside.name)
            return empty_rows(), None

    def _of_this_version(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yields the lines of a journal that have the columns of this version's index; logs how many don't."""
        others = 0
        for row, landmarks in lines:
            if row.keys() == set(NAMES):
                yield row, landmarks
            else:
                others += 1
        if others:
            log.warning(
                "%s: skipped %s from another version of addnet; their images are examined again",
                self._journal.file,
                count(others, "line", "lines"),
            )

    def _keep(self, row: dict[str, Any], landmarks: Rows | None) -> None:
        values = np.full(VALUES, np.nan, "<f4") if landmarks is None else np.asarray(landmarks, "<f4")
        self._spool.write(values.tobytes())
        self._rows.append(row)
        if len(self._rows) == _BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._tables.append(rows_of(self._rows))
            self._rows = []

    def _all(self) -> pa.Table:
        self._flush()
        return pa.concat_tables(self._tables).unify_dictionaries().combine_chunks()

    def _landmarks(self, positions: NDArray[np.int64]) -> Rows:
        """(N, 136) landmarks at these positions of `rows()`: first those of the old index, then the added ones."""
        old = len(self._store) if self._store else 0  # positions below it are rows of the old index
        landmarks = np.full((len(positions), VALUES), np.nan, dtype=np.float32)
        if self._store:
            landmarks[positions < old] = self._store.rows(positions[positions < old])
        if (positions >= old).any():
            self._spool.flush()
            added = np.memmap(self._spool, "<f4", "r").reshape(-1, VALUES)
            landmarks[positions >= old] = added[positions[positions >= old] - old]
        return landmarks

    def _chosen(self, rows: pa.Table, records: Records | None) -> NDArray[np.int64]:
        """Positions of the rows to write: those of the records, in their order, then others whose file still exists."""
        named = np.empty(0, dtype=np.int64) if records is None else find(rows["path"], records.paths)
        named = named[named >= 0]
        newest = np.unique(find(rows["path"], rows["path"].combine_chunks()))  # the last row of each path
        others = np.setdiff1d(newest, find(rows["path"], _paths(rows, named)) if len(named) else named)
        if records is not None and len(others):
            paths = rows["path"].take(pa.array(others)).to_pylist()
            others = others[[self._exists(path) for path in paths]]
        return np.concatenate([named, others])

    def _exists(self, path: str) -> bool:
        """Whether the file, or the archive that it is a member of, exists."""
        file = self.root / path
        return file.is_file() or any(part.is_file() for part in file.parents if part.is_relative_to(self.root))

    def _stored_root(self) -> str:
        root, folder = self.root.resolve(), self.file.resolve().parent
        return os.path.relpath(root, folder) if root.is_relative_to(folder) else str(root)


def _paths(rows: pa.Table, numbers: NDArray[np.int64]) -> pa.LargeStringArray:
    return rows["path"].take(pa.array(numbers)).combine_chunks()


def _described(rows: pa.Table, records: Records | None) -> pa.Table:
    """The rows with the columns of the records, for those that have a record: they come first."""
    if records is None:
        return rows
    kept = find(records.table["path"], rows["path"].combine_chunks())  # (N,) record of each row, or -1
    count = int((kept >= 0).sum())
    described = records.take(kept[:count]).table
    for name in RECORDED:
        field = rows.schema.field(name)
        own, recorded = _plain(rows[name].slice(count)), _plain(described[name])
        column = pa.chunked_array([*recorded.chunks, *own.chunks], own.type)
        column = column.dictionary_encode() if pa.types.is_dictionary(field.type) else column.cast(field.type)
        rows = rows.set_column(rows.schema.get_field_index(name), field, column)
    return rows.unify_dictionaries().combine_chunks()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _same(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same content, whatever dictionaries encode their texts."""
    return len(one) == len(other) and all(_plain(one[name]).equals(_plain(other[name])) for name in NAMES)
