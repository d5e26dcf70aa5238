"""What is known about the images of a data set before any is opened: single records, and records as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

CLASS_NAMES = ("real", "fake")
REAL, FAKE = 0, 1
UNLABELLED = -1
WHOLE_FILE = -1

_CODED = pa.dictionary(pa.int32(), pa.string())
_TYPES: dict[str, pa.DataType] = {
    "path": pa.large_string(),
    "label": pa.int8(),
    "split": _CODED,
    "video_id": _CODED,
    "group_id": _CODED,
    "dataset": _CODED,
    "method": _CODED,
    "identity": _CODED,
    "frame": pa.int64(),
    "offset": pa.int64(),
    "length": pa.int64(),
    "landmarks": pa.large_string(),
    "root": _CODED,
}
_BLOCK = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One image, or one video from which images are to be extracted.

    Attributes:
        path: Relative to `root`, with forward slashes. For an image in an archive: the archive's path, a slash and
            the member's name, as in `fake_train/1.tar.gz/1/fake/0/12.png`.
        label: 0 real, 1 fake, -1 unknown (prediction).
        split: `train`, `val`, `test` or `predict`.
        video_id: `dataset/method/video`; images with the same id are frames of one video.
        group_id: Source video or identity; images with the same id must be in the same split.
        dataset: Name of the data set.
        method: How the image was made, such as `Deepfakes`; empty if unknown.
        identity: The people who are visible or were swapped in, separated by spaces; empty if the data set doesn't
            name them.
        frame: Number of the frame in its video, from 0; -1 if unknown.
        offset: Position of the first byte in the (uncompressed) archive; -1 for a separate file.
        length: Number of bytes in the archive.
        landmarks: File with the landmarks that came with the data set, relative to `root`; empty: a landmarker has to
            find them.
        root: Folder that the paths are relative to; empty: the folder of the data set.
    """

    path: str
    label: int
    split: str
    video_id: str
    group_id: str
    dataset: str
    method: str = ""
    identity: str = ""
    frame: int = -1
    offset: int = WHOLE_FILE
    length: int = 0
    landmarks: str = ""
    root: str = ""


FIELDS = tuple(field.name for field in fields(Record))


class Records(Sequence[Record]):
    """Many records as columns: about a hundred bytes per record, in memory that forked processes share.

    Args:
        table: A column for each field of `Record`, with the types that `Records.of` uses.

    Example:
        >>> record = Record(path="a.jpg", label=1, split="train", video_id="d/fake/a", group_id="a", dataset="d")
        >>> records = Records.of([record])
        >>> records[0].path, records.labels, records.names("split")
        ('a.jpg', array([1], dtype=int8), ['train'])
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table.select(FIELDS).unify_dictionaries().combine_chunks()
        self._columns = [self.table[name].chunk(0) if len(self.table) else None for name in FIELDS]

    @classmethod
    def of(cls, records: Iterable[Record]) -> Records:
        """Columns made from single records, which may come from a generator."""
        if isinstance(records, Records):
            return records
        stream = iter(records)
        blocks = [_table({name: pa.array([], kind) for name, kind in _TYPES.items()})]
        while block := list(islice(stream, _BLOCK)):
            blocks.append(_table({name: [getattr(record, name) for record in block] for name in FIELDS}))
        return cls(pa.concat_tables(blocks))

    @classmethod
    def concat(cls, parts: Iterable[Records]) -> Records:
        """All records of several tables, one after another."""
        return cls(pa.concat_tables([_table({}), *(part.table for part in parts)]))

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        position = index % len(self)
        return _record(column[position].as_py() for column in self._columns)  # type: ignore[index]

    def __iter__(self) -> Iterator[Record]:
        for start in range(0, len(self), _BLOCK):
            rows = self.table.slice(start, _BLOCK)
            yield from (_record(row) for row in zip(*(rows[name].to_pylist() for name in FIELDS), strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, rows: NDArray[Any] | Sequence[int]) -> Records:
        """The records at these positions, or those for which a boolean mask is true."""
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        return Records(self.table.take(pa.array(chosen.astype(np.int64))))

    def of_root(self, root: str) -> Records:
        """The records whose paths are relative to this folder."""
        return self.take(pc.equal(self.table["root"].cast(pa.string()), root).to_numpy(zero_copy_only=False))

    def replaced(self, **values: str) -> Records:
        """A copy in which all records have the same value of a field, such as `split="val"`."""
        table = self.table
        for name, value in values.items():
            column = pa.array([value] * len(table), pa.string()).cast(_TYPES[name])
            table = table.set_column(FIELDS.index(name), name, column)
        return Records(table)

    @property
    def paths(self) -> pa.LargeStringArray:
        """The paths, as an Arrow array."""
        return self._array("path")

    @property
    def labels(self) -> NDArray[np.int8]:
        """(N,) classes: 0 real, 1 fake, -1 unknown."""
        return np.asarray(self._array("label").to_numpy(zero_copy_only=False))

    def numbers(self, name: str) -> NDArray[np.int64]:
        """(N,) position of each record's value in `names`, such as the number of its video."""
        _, numbers = self._sorted(name)
        return numbers

    def names(self, name: str) -> list[str]:
        """The distinct values of a text field, sorted."""
        names, _ = self._sorted(name)
        return names

    def having(self, name: str, text: str) -> NDArray[np.bool_]:
        """(N,) whether each record has this value in a text field, such as "test" in "split"."""
        return np.asarray(pc.equal(self.table[name].cast(pa.string()), text).to_numpy(), dtype=bool)

    def _array(self, name: str) -> Any:
        column = self.table[name]
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)

    def _sorted(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        column = self._array(name)
        if not pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(column)
        # used: dictionary entries that occur; codes: (N,) position of each record's entry among them
        used, codes = np.unique(column.indices.to_numpy(zero_copy_only=False), return_inverse=True)
        texts = column.dictionary.take(pa.array(used, pa.int64())).to_pylist()
        order = sorted(range(len(texts)), key=texts.__getitem__)
        rank = np.empty(len(order), dtype=np.int64)  # position of each entry once they are sorted
        rank[order] = np.arange(len(order))
        return [texts[i] for i in order], rank[codes] if len(codes) else np.empty(0, dtype=np.int64)


def _record(row: Iterable[Any]) -> Record:
    return Record(**dict(zip(FIELDS, row, strict=True)))


def _table(columns: dict[str, Any]) -> pa.Table:
    arrays = []
    for name, kind in _TYPES.items():
        values = columns.get(name, [])
        if not isinstance(values, pa.Array):
            values = pa.array(values, pa.string() if kind == _CODED else kind)
        arrays.append(values.dictionary_encode() if kind == _CODED and values.type != kind else values)
    return pa.table(arrays, names=list(_TYPES))
