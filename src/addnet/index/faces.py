"""The face index: what was found in each image, kept in one Parquet file beside the runs.

Landmarks are kept, not masks: a mask drawn from landmarks follows every augmentation and costs less than reading one.
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

CHECKED = "checked"  # the file is a whole image; nobody looked for a face yet
GIVEN = "given"  # the landmarks came with the data set
SERVED = (*(name for name in FIELDS if name != "root"), "size", "width", "height", "step", "reason")


class FaceIndex:
    """An index, opened for reading: columns in memory, landmarks mapped from the file.

    Args:
        file: The Parquet file.
        columns: Those to read; default: what training needs.

    Raises:
        UserError: The file is not there, is damaged, or is no face index.
    """

    def __init__(self, file: str | Path, *, columns: Sequence[str] = SERVED) -> None:
        self.file = Path(file)
        if not self.file.is_file():
            raise no_such_index(self.file)
        self._identity = (0, 0, 0)
        while self._identity != (now := identity_of(self.file)):  # replaced while it was read
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
            UserError: The index was written anew since its rows were read.
        """
        return LandmarkStore(self.file, identity=self._identity)

    def records(self) -> Records:
        """What the index knows about each image, in the order of its rows."""
        root = pa.array([""], pa.string()).dictionary_encode().take(pa.array(np.zeros(len(self), dtype=np.int64)))
        columns = [root if name == "root" else self.rows[name] for name in FIELDS]
        return Records(pa.table(columns, names=list(FIELDS)))

    def find(self, paths: pa.LargeStringArray) -> NDArray[np.int64]:
        """(N,) row of each path; -1 where the index doesn't have it."""
        return find(self.rows["path"], paths)


def find(known: pa.ChunkedArray, paths: pa.LargeStringArray) -> NDArray[np.int64]:
    """(N,) the last position of each path among the known ones; -1 where it isn't."""
    backwards = known.take(pa.array(np.arange(len(known))[::-1].copy()))
    position = pc.fill_null(pc.index_in(paths, value_set=backwards), -1).to_numpy(zero_copy_only=False)
    return np.where(position < 0, -1, len(known) - 1 - position.astype(np.int64))
