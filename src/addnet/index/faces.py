"""The face index: the face found in each image, stored in one Parquet file alongside the runs.

It stores landmarks, not masks: a mask drawn from landmarks follows every augmentation and costs less than reading one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.index.file import no_such_index, read_index
from addnet.index.landmarks import LandmarkStore, identity_of
from addnet.index.records import FIELDS, Records

CHECKED = "checked"  # the file is an intact image; no landmarker has searched it yet
GIVEN = "given"  # the landmarks came with the data set
SERVED = (*(name for name in FIELDS if name != "root"), "size", "width", "height", "step", "reason")


class FaceIndex:
    """An index, opened for reading: columns in memory, landmarks memory-mapped from the file.

    Args:
        file: The Parquet file.
        columns: The columns to read; default: those that training needs.

    Raises:
        UserError: The file doesn't exist, is damaged, or isn't a face index.
    """

    def __init__(self, file: str | Path, *, columns: Sequence[str] = SERVED) -> None:
        self.file = Path(file)
        if not self.file.is_file():
            raise no_such_index(self.file)
        self._identity = (0, 0, 0)
        while self._identity != (now := identity_of(self.file)):  # read again if it was replaced meanwhile
            self._identity = now
            self.rows, self._root = read_index(self.file, columns=columns)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def root(self) -> Path:
        """Folder that the paths are relative to."""
        return self.file.parent / self._root

    @cached_property
    def landmarks(self) -> LandmarkStore:
        """The landmarks of each row.

        Raises:
            UserError: The index has been rewritten since its rows were read.
        """
        return LandmarkStore(self.file, identity=self._identity)

    def records(self) -> Records:
        """The record of each image, in the order of the rows."""
        root = pa.array([""], pa.string()).dictionary_encode().take(pa.array(np.zeros(len(self), dtype=np.int64)))
        columns = [root if name == "root" else self.rows[name] for name in FIELDS]
        return Records(pa.table(columns, names=list(FIELDS)))

    def find(self, paths: pa.LargeStringArray) -> NDArray[np.int64]:
        """(N,) row of each path; -1 for paths that aren't in the index."""
        return find(self.rows["path"], paths)


def find(known: pa.ChunkedArray, paths: pa.LargeStringArray) -> NDArray[np.int64]:
    """(N,) last position of each path among the known paths; -1 for unknown paths."""
    # index_in returns the first match: in the reversed paths, that is the last one
    backwards = known.take(pa.array(np.arange(len(known))[::-1].copy()))
    position = pc.fill_null(pc.index_in(paths, value_set=backwards), -1).to_numpy(zero_copy_only=False)
    return np.where(position < 0, -1, len(known) - 1 - position.astype(np.int64))
