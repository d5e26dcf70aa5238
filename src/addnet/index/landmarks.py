"""The 68 landmarks of each row, memory-mapped from the index file: opening copies nothing, and processes share one map.

In Parquet's plain encoding, the landmarks of a row take 544 bytes. `write_index` stores those of each row group in one
uncompressed page, which can be mapped as it is. If another program wrote the file, they are decoded once into a
temporary file, which is mapped instead.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.geometry import Landmarks

VALUES = 136
_BYTES = 4 * VALUES
_LEVELS = 8192  # bytes of repetition levels that may precede the values of a page; more means another page
_FARTHEST = 1e6  # pixels; coordinates beyond that are damage
Rows = NDArray[np.float32]


class LandmarkStore(Sequence["Landmarks | None"]):
    """Landmarks by row number; None for rows without landmarks (all NaN in the file).

    Only the file's name is pickled: a spawned process maps the file again.

    Args:
        file: The index.
        identity: What `identity_of` returned for it earlier; None: its identity now.

    Raises:
        UserError: The file isn't the one that had this identity, or from which the store was pickled.
    """

    def __init__(self, file: Path, *, identity: tuple[int, int, int] | None = None) -> None:
        self.file = file
        self.identity = identity or identity_of(file)
        if identity_of(file) != self.identity:
            raise _written_anew(file)
        try:
            self._blocks = list(_blocks(file))
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{file}: its landmarks are damaged ({reason}); repair it with `addnet prepare`") from error
        self._ends = np.cumsum([len(block) for block in self._blocks], dtype=np.int64)
        if identity_of(file) != self.identity:
            raise _written_anew(file)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, row: Any) -> Any:
        if not 0 <= row < len(self):
            raise IndexError(row)
        block = int(np.searchsorted(self._ends, row, side="right"))
        return as_landmarks(self._blocks[block][row - int(self._ends[block])])

    def rows(self, rows: NDArray[np.int64]) -> Rows:
        """(len(rows), 136) landmarks of these rows, copied; NaN where a row number is negative."""
        out = np.full((len(rows), VALUES), np.nan, dtype=np.float32)
        blocks = np.searchsorted(self._ends, rows, side="right")  # (N,) row group that each row is in
        for block in np.unique(blocks[rows >= 0]):
            chosen = (blocks == block) & (rows >= 0)
            start = int(self._ends[block]) - len(self._blocks[block])
            out[chosen] = self._blocks[block][rows[chosen] - start]
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file, "identity": self.identity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["file"], identity=state["identity"])  # type: ignore[misc]


class ChosenPoints(Sequence["Landmarks | None"]):
    """Landmarks of chosen rows of one or several stores, in any order.

    Args:
        stores: Landmarks of whole indexes.
        which: (N,) number of the store that each item is in.
        rows: (N,) row of each item in its store; negative: no landmarks.
    """

    def __init__(self, stores: Sequence[LandmarkStore], which: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self.stores = list(stores)
        self.which = which
        self.numbers = rows

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        row = int(self.numbers[index])
        return None if row < 0 else self.stores[int(self.which[index])][row]


def as_landmarks(values: Rows) -> Landmarks | None:
    """(136,) → (68, 2); None if they are NaN, or too far away to be in an image because the file is damaged."""
    if not np.abs(values).max() < _FARTHEST:  # false for NaN too
        return None
    return np.array(values, dtype=np.float32).reshape(68, 2)


def _written_anew(file: Path) -> UserError:
    return UserError(f"{file} was rewritten while it was in use; start again")


def identity_of(file: Path) -> tuple[int, int, int]:
    """Distinguishes an index from another under the same name: inode, size, and time of the last change (ns)."""
    stat = os.stat(file)  # noqa: PTH116 - three fields from one call
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _blocks(file: Path) -> Iterator[Rows]:
    with pq.ParquetFile(file) as parquet:
        metadata = parquet.metadata
        if not metadata.num_rows:
            return
        column = _column_of_landmarks(metadata)
        whole = np.memmap(file, dtype=np.uint8, mode="r")
        for number in range(metadata.num_row_groups):
            rows = metadata.row_group(number).num_rows
            start = _start_of_values(metadata.row_group(number).column(column), rows, whole)
            if start is None:
                yield _decoded(parquet, number, file.parent)
            else:
                yield np.ndarray((rows, VALUES), dtype="<f4", buffer=whole.data, offset=start)


def _column_of_landmarks(metadata: Any) -> int:
    schema = metadata.schema
    columns = [i for i in range(len(schema)) if schema.column(i).path.split(".")[0] == "points"]
    if not columns:
        raise ValueError("it has no column of landmarks")
    return columns[0]


def _start_of_values(chunk: Any, rows: int, whole: NDArray[np.uint8]) -> int | None:
    """Position in the file at which the values begin, if the chunk is one uncompressed page; otherwise None."""
    plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
    if not plain or chunk.num_values != rows * VALUES or set(chunk.encodings) - {"PLAIN", "RLE", "BIT_PACKED"}:
        return None
    start, end = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size
    page = _page_size(whole[start : start + 32])
    if page is None or not 0 < end - start - page < 256:  # what isn't page must be its header, not a second page
        return None
    # before the values, a page has at most the levels: no more than a bit per value, and their lengths
    return None if not 0 <= page - rows * _BYTES <= rows * VALUES // 8 + _LEVELS else end - rows * _BYTES


def _page_size(header: NDArray[np.uint8]) -> int | None:
    """Size in bytes of the page behind a Parquet page header: its third field, in Thrift's compact protocol."""
    position, value = 0, 0
    for _ in range(3):
        if position >= len(header) or header[position] != 0x15:  # 0x15: the next field, a 32-bit integer
            return None
        position, value, shift = position + 1, 0, 0
        # a varint: seven bits a byte, the lowest first; the last byte is below 0x80
        while position < len(header):
            byte = int(header[position])
            value |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if byte < 0x80:
                break
    return value >> 1  # zigzag; sizes are positive


def _decoded(parquet: Any, number: int, folder: Path) -> Rows:
    column = parquet.read_row_group(number, columns=["points"])["points"].combine_chunks()
    values = np.full((len(column), VALUES), np.nan, dtype=np.float32)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    values[valid] = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, VALUES)
    with tempfile.TemporaryFile(prefix="addnet-landmarks-", dir=os.environ.get("TMPDIR")) as stream:
        stream.write(values.tobytes())
        stream.flush()
        return np.memmap(stream, dtype=np.float32, mode="r", shape=values.shape)
