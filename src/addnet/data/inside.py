"""Which files the rows of an index may name: those of a folder that the user named, or that the program itself wrote.

An index says where its images lie. One that came from somebody else could so name any file of the reader, which would
then be seen in a report. An index that this program wrote here is known by its place (`data.index_dir`,
`data.faces_dir`), or by the number that the file had when it was written, which no copy of it has.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.index.faces import FaceIndex
from addnet.index.file import was_written_here
from addnet.untrusted.places import SUSPICIOUS, first_outside
from addnet.untrusted.texts import CONTROL, shown

_BLOCK = 1 << 16
_NAMES = ("video_id", "group_id", "dataset", "method", "identity", "split")


def require_inside(index: FaceIndex, root: str | None, *, own: Iterable[str | Path]) -> None:
    """Refuses an index that names files outside of the folder that the user named.

    Args:
        index: As it is opened.
        root: The folder that the user named; None: that which the index names, if it is below its own folder or if
            the program wrote the index here.
        own: Folders of indexes that the program wrote: what these say is taken as it is.

    Raises:
        UserError: Its folder isn't known, a row leads out of it, or a name has control characters. The text has the
            option to type where the user trusts the index.
    """
    _require_plain(index)
    if any(index.file.resolve().is_relative_to(Path(folder).resolve()) for folder in own):
        return
    here = was_written_here(index.file)
    if root is None and not here and not index.root.resolve().is_relative_to(index.file.resolve().parent):
        place = shown(index.root)
        raise UserError(
            f"data.index={index.file} says that its images lie in {place}, which is not below its own folder; if you "
            f"trust it, type {shlex.quote(f'data.data_dir={place}')}"
        )
    folder = index.root if root is None else Path(root)
    for column in ("path", "landmarks"):
        names = index.rows[column]
        rows = np.flatnonzero(pc.match_substring_regex(names, SUSPICIOUS)) if here else np.arange(len(names))
        if (found := first_outside(folder, _each(names, rows), links=not here)) is not None:
            row = int(rows[found.position])
            raise UserError(
                f"data.index={index.file}, row {row + 1}: {shown(names[row].as_py())} {found.reason}; if you trust it, "
                "type ++data.options.outside=true"
            )


def _each(names: pa.ChunkedArray, rows: NDArray[np.int64]) -> Iterator[str]:
    """The names in these rows, some at a time: Python's texts take several times the memory of Arrow's."""
    for start in range(0, len(rows), _BLOCK):
        yield from names.take(pa.array(rows[start : start + _BLOCK])).to_pylist()


def _require_plain(index: FaceIndex) -> None:
    """Names of a table and a log; those of files can't be read from a row that has a NUL."""
    for column in ("path", "landmarks", *_NAMES):
        values = index.rows[column]
        if pa.types.is_dictionary(values.type):
            values = pa.chunked_array([chunk.dictionary for chunk in values.chunks], values.type.value_type)
        odd = np.flatnonzero(np.asarray(pc.match_substring_regex(values, CONTROL)))
        if len(odd):
            name = shown(values[int(odd[0])].as_py())
            raise UserError(
                f"data.index={index.file}: {column}={name} has control characters; rename what has such a name and "
                "prepare the data again"
            )
