"""The index as a Parquet file: its columns, an atomic writer, and a reader that leaves the landmarks in the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from addnet.errors import UserError
from addnet.index.landmarks import VALUES, Rows

FORMAT = "2"
GROUP = 16_384  # rows per row group, so that its landmarks are one page (pyarrow 26 splits pages at 20,000 rows)
_CODED = pa.dictionary(pa.int32(), pa.string())
_BOX = pa.list_(pa.float32(), 4)

SCHEMA = pa.schema(
    [
        ("path", pa.large_string()),
        ("label", pa.int8()),
        ("split", _CODED),
        ("video_id", _CODED),
        ("group_id", _CODED),
        ("dataset", _CODED),
        ("method", _CODED),
        ("identity", _CODED),
        ("frame", pa.int64()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("landmarks", pa.large_string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("hash", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("step", _CODED),
        ("detector", _CODED),
        ("box", _BOX),
        ("source", _CODED),
        ("source_box", _BOX),
        ("reason", pa.string()),
    ]
)
NAMES = tuple(SCHEMA.names)


class DamagedIndexError(UserError):
    """The file is an index that can no longer be read."""


def write_index(file: Path, rows: pa.Table, landmarks: Callable[[int, int], Rows], *, root: str) -> None:
    """Writes an index; the file appears under its name only when it is complete.

    Args:
        file: The file to write.
        rows: The columns of `SCHEMA`.
        landmarks: (start, stop) → (stop - start, 136) landmarks of these rows; NaN for rows without landmarks.
        root: Folder that the paths are relative to: absolute, or relative to the file's folder.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    schema = SCHEMA.append(pa.field("points", pa.list_(pa.float32(), VALUES)))
    partial = file.with_name(f".{file.name}.{os.getpid()}")  # see `partial_files`
    try:
        partial.touch()
        about = {"addnet.index": FORMAT, "addnet.root": root, "addnet.file": _number_of(partial)}
        schema = schema.with_metadata(about)
        with pq.ParquetWriter(
            partial,
            schema,
            compression=dict.fromkeys(_leaves(schema), "zstd") | {"points.list.element": "none"},
            use_dictionary=[name for name in _leaves(schema) if name not in ("points.list.element", "hash")],
            data_page_size=4 * VALUES * GROUP * 2,
            write_statistics=False,
            write_page_checksum=True,
        ) as writer:
            for start in range(0, len(rows), GROUP):
                block = rows.slice(start, GROUP).select(NAMES).cast(SCHEMA)
                values = pa.array(landmarks(start, start + len(block)).ravel(), pa.float32())
                column = pa.FixedSizeListArray.from_arrays(values, VALUES)
                writer.write_table(pa.table([*block.columns, column], schema=schema), row_group_size=GROUP)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def partial_files(file: Path) -> Iterator[Path]:
    """The partial files that `write_index` is writing beside an index, or left there when its process was killed."""
    start = f".{file.name}."
    for path in file.parent.iterdir():
        if path.name.startswith(start) and path.name.removeprefix(start).isdecimal():
            yield path


def read_index(file: Path, *, columns: Sequence[str] = NAMES) -> tuple[pa.Table, str]:
    """Reads an index without its landmarks (`LandmarkStore` reads those).

    Returns:
        The requested columns, and the folder that the paths are relative to.

    Raises:
        DamagedIndexError: The file is an index that is damaged or was made by another version.
        UserError: The file isn't an index, or can't be opened.
    """
    if not file.is_file():
        raise no_such_index(file)
    _refuse_other_files(file)
    try:
        coded = [name for name in columns if pa.types.is_dictionary(SCHEMA.field(name).type)]
        with pq.ParquetFile(file, read_dictionary=coded, pre_buffer=False, page_checksum_verification=True) as parquet:
            metadata = parquet.schema_arrow.metadata or {}
            if metadata.get(b"addnet.index") != FORMAT.encode():
                raise ValueError("written by another version or another program")
            _require_bytes(parquet, file.stat().st_size)
            # one column at a time: decoding all at once takes twice the memory of the table
            arrays = [parquet.read(columns=[name]).unify_dictionaries().combine_chunks()[name] for name in columns]
            table = pa.table(arrays, names=list(columns))
        pa.default_memory_pool().release_unused()  # decoding took as much again as the table
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        table = table.select(list(columns)).replace_schema_metadata(None).cast(schema)
        _require_sound(table)
        return table, metadata[b"addnet.root"].decode()
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedIndexError(f"{file} is damaged or not a face index ({reason})") from error


def _require_bytes(parquet: pq.ParquetFile, size: int) -> None:
    """Raises if there are more rows than bytes: each row has its own landmarks and hash."""
    rows = sum(parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups))
    if max(rows, parquet.metadata.num_rows) > size:
        raise ValueError(f"its metadata declares {rows:,} rows, but the file has only {size:,} bytes")


def was_written_here(file: Path) -> bool:
    """Whether `write_index` wrote this very file; a copy, such as one that somebody sent, isn't it."""
    try:
        recorded = (pq.read_schema(file).metadata or {}).get(b"addnet.file", b"")
    except (pa.ArrowException, OSError) as error:
        raise DamagedIndexError(f"{file} is damaged ({str(error).splitlines()[0]})") from error
    return bool(recorded == _number_of(file).encode())


def _number_of(file: Path) -> str:
    """The inode number of a file, which stays the same when the file is renamed."""
    return str(file.stat().st_ino)


def _require_sound(table: pa.Table) -> None:
    """Raises if codes point outside their dictionary, which Parquet's checksums don't detect.

    `Table.validate(full=True)` would find them too, but takes as much memory as the table.
    """
    table.validate()
    for column in table.columns:
        for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
            ends = pc.min_max(chunk.indices)
            if ends["max"].is_valid and not 0 <= ends["min"].as_py() <= ends["max"].as_py() < len(chunk.dictionary):
                raise ValueError("codes outside their dictionary")


def no_such_index(file: Path) -> UserError:
    """The error for an index that doesn't exist."""
    return UserError(f"data.index={file}: no such file; create it with `addnet prepare`")


def check_landmarks(file: Path) -> None:
    """Reads the landmarks of all rows once to verify their checksums, which a memory map doesn't do.

    Raises:
        DamagedIndexError: A page doesn't match its checksum.
    """
    try:
        with pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True) as parquet:
            for number in range(parquet.num_row_groups):
                parquet.read_row_group(number, columns=["points"])
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedIndexError(f"{file} is damaged ({reason})") from error


def empty_rows() -> pa.Table:
    """The columns of an index without rows."""
    return SCHEMA.empty_table()


def rows_of(dicts: Iterable[dict[str, Any]]) -> pa.Table:
    """A table of rows given as one dictionary each, with a key for each column."""
    rows = list(dicts)
    arrays = []
    for field in SCHEMA:
        kind = pa.string() if pa.types.is_dictionary(field.type) else field.type
        array = pa.array([row[field.name] for row in rows], kind)
        arrays.append(array.dictionary_encode() if pa.types.is_dictionary(field.type) else array)
    return pa.table(arrays, schema=SCHEMA)


def _refuse_other_files(file: Path) -> None:
    """Raises if the file was never a Parquet file: it belongs to the user and must not be replaced."""
    with file.open("rb") as stream:
        start = stream.read(4)
    if start and not b"PAR1".startswith(start):
        raise UserError(
            f"{file} is not a face index: it doesn't begin like a Parquet file; name another file, "
            "or use data=manifest for a table of paths and labels"
        )


def _leaves(schema: pa.Schema) -> list[str]:
    """The columns by the names under which Parquet's writer knows them."""
    lists = {field.name for field in schema if pa.types.is_fixed_size_list(field.type)}
    return [f"{name}.list.element" if name in lists else name for name in schema.names]
