"""All pictures of a data set → their signals as columns, about 70 bytes a picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.data.audit.pool import over_chunks
from addnet.data.audit.signals import SIGNALS, measure
from addnet.errors import UserError
from addnet.index.records import Record, Records
from addnet.index.storage import Storage

Read = Callable[[Record], bytes]


@dataclass(frozen=True)
class Stored:
    """Reads pictures, files of their own and members of archives alike.

    Attributes:
        storage: Where from.
        root: Folder of records that name none.
    """

    storage: Storage = field(default_factory=Storage)
    root: str | Path = ""

    def __call__(self, record: Record) -> bytes:
        """The whole file."""
        path = os.path.join(self.root, record.root, record.path)  # noqa: PTH118 - some are whole paths
        return self.storage.read(path, record.offset, record.length)


@dataclass(frozen=True)
class Signals:
    """Signals of many pictures.

    Attributes:
        rows: (N,) of dtype `SIGNALS`; zeros where a picture could not be read.
        failures: Number of the record and reason, for those.
    """

    rows: NDArray[np.void]
    failures: list[tuple[int, str]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        """(N,) one signal."""
        return self.rows[name]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) whether the picture could be read."""
        return np.asarray(self.rows["width"] > 0)


def measure_all(
    records: Records, read: Read, *, workers: int | None = None, advance: Callable[[int], None] | None = None
) -> Signals:
    """Reads every picture once.

    Args:
        records: The pictures.
        read: Gives the bytes of one; picklable.
        workers: Processes; default: all cores.
        advance: Called with the number of pictures done since the last call, for a progress bar.
    """
    rows = np.zeros(len(records), dtype=SIGNALS)
    failures: list[tuple[int, str]] = []
    done = 0
    for part, failed in over_chunks(_Measure(read), records, count=len(records), workers=workers):
        rows[done : done + len(part)] = part
        failures += [(done + position, reason) for position, reason in failed]
        done += len(part)
        if advance:
            advance(len(part))
    return Signals(rows, failures)


def read_or_reason(read: Read, record: Record) -> bytes | str:
    """The bytes of a picture, or why there are none."""
    try:
        return read(record)
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


@dataclass(frozen=True)
class _Measure:
    read: Read

    def __call__(self, records: list[Record]) -> tuple[NDArray[np.void], list[tuple[int, str]]]:
        rows = np.zeros(len(records), dtype=SIGNALS)
        failed = []
        for position, record in enumerate(records):
            data = read_or_reason(self.read, record)
            try:
                if isinstance(data, str):
                    raise UserError(data)
                rows[position] = measure(data)
            except UserError as error:
                failed.append((position, str(error)))
        return rows, failed
