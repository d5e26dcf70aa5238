"""Restricts the files that the rows of an index may name to a folder that the user named or the program wrote.

An index says where its images are. One from somebody else could name any of the reader's files, which would then show
up in a report. An index that this program wrote on this machine is recognised by its folder (`data.index_dir`,
`data.faces_dir`), or by its inode number at the time of writing, which no copy has.
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
    """Raises if an index names files outside the folder that the user named.

    Args:
        index: The opened index.
        root: The folder that the user named; None: the folder that the index names, provided that it is below the
            index's own folder, or that the program wrote the index on this machine.
        own: Folders of indexes that the program wrote; indexes in them are trusted.

    Raises:
        UserError: The folder isn't trusted, a row leads out of it, or a name has control characters. The message names
            the option to use if the user trusts the index.
    """
    _require_plain(index)
    if any(index.file.resolve().is_relative_to(Path(folder).resolve()) for folder in own):
        return
    here = was_written_here(index.file)
    if root is None and not here and not index.root.resolve().is_relative_to(index.file.resolve().parent):
        place = shown(index.root)
        raise UserError(
            f"data.index={index.file} says that its images are in {place}, which is not below its own folder; if you "
            f"trust it, add {shlex.quote(f'data.data_dir={place}')}"
        )
    folder = index.root if root is None else Path(root)
    for column in ("path", "landmarks"):
        names = index.rows[column]
        rows = np.flatnonzero(pc.match_substring_regex(names, SUSPICIOUS)) if here else np.arange(len(names))
        if (found := first_outside(folder, _each(names, rows), links=not here)) is not None:
            row = int(rows[found.position])
            raise UserError(
                f"data.index={index.file}, row {row + 1}: {shown(names[row].as_py())} {found.reason}; if you trust it, "
                "add ++data.options.outside=true"
            )


def _each(names: pa.ChunkedArray, rows: NDArray[np.int64]) -> Iterator[str]:
    """Yields the names in these rows, converted in blocks: Python's strings take several times Arrow's memory."""
    for start in range(0, len(rows), _BLOCK):
        yield from names.take(pa.array(rows[start : start + _BLOCK])).to_pylist()


def _require_plain(index: FaceIndex) -> None:
    """Raises if a name has control characters: names are shown in tables and logs, and no file name has a NUL."""
    for column in ("path", "landmarks", *_NAMES):
        values = index.rows[column]
        if pa.types.is_dictionary(values.type):
            values = pa.chunked_array([chunk.dictionary for chunk in values.chunks], values.type.value_type)
        odd = np.flatnonzero(np.asarray(pc.match_substring_regex(values, CONTROL)))
        if len(odd):
            name = shown(values[int(odd[0])].as_py())
            raise UserError(
                f"data.index={index.file}: {column}={name} has control characters; rename the file or folder and "
                "prepare the data again"
            )
