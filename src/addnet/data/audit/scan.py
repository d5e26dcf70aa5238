"""All images of a data set → their signals as columns, about 70 bytes per image."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.data.audit.pool import CHUNK, over_records
from addnet.data.audit.signals import SIGNALS, measure
from addnet.errors import UserError
from addnet.index.records import Record, Records
from addnet.index.storage import Storage

Read = Callable[[Record], bytes]


@dataclass(frozen=True)
class ImageReader:
    """Reads images, whether they are files or members of archives.

    Attributes:
        storage: Where the bytes come from.
        root: Folder of records that don't name their own.
    """

    storage: Storage = field(default_factory=Storage)
    root: str | Path = ""

    def __call__(self, record: Record) -> bytes:
        """The whole file."""
        path = os.path.join(self.root, record.root, record.path)  # noqa: PTH118 - some are absolute
        return self.storage.read(path, record.offset, record.length)


@dataclass(frozen=True)
class ImageSignals:
    """Signals of many images.

    Attributes:
        rows: (N,) of dtype `SIGNALS`; zeros where an image could not be read.
        failures: Position of the record and reason, for each image that could not be read.
    """

    rows: NDArray[np.void]
    failures: list[tuple[int, str]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        """(N,) one signal."""
        return self.rows[name]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) whether the image could be read."""
        return np.asarray(self.rows["width"] > 0)


def measure_all(
    records: Records, read: Read, *, workers: int | None = None, advance: Callable[[int], None] | None = None
) -> ImageSignals:
    """Reads every image once and measures its signals.

    Args:
        records: The images.
        read: Returns the bytes of an image; picklable.
        workers: Number of processes; default: all cores.
        advance: Called with the number of images done since the last call, for a progress bar.
    """
    rows = np.zeros(len(records), dtype=SIGNALS)
    failures: list[tuple[int, str]] = []
    found = over_records(_SignalReader(read), records, failed=_reason, count=len(records), workers=workers)
    for number, result in enumerate(found):  # bytes of one row, or the reason why there are none
        if isinstance(result, str):
            failures.append((number, result))
        else:
            rows[number] = np.frombuffer(result, SIGNALS)[0]
        if advance and ((number + 1) % CHUNK == 0 or number + 1 == len(records)):
            advance(number % CHUNK + 1)
    return ImageSignals(rows, failures)


def _reason(record: Record, reason: str) -> str:
    return reason


def read_or_reason(read: Read, record: Record) -> bytes | str:
    """The bytes of an image, or why there are none."""
    try:
        return read(record)
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


@dataclass(frozen=True)
class _SignalReader:
    read: Read

    def __call__(self, record: Record) -> bytes | str:
        """One row of `SIGNALS` in bytes, or why there is none."""
        data = read_or_reason(self.read, record)
        if isinstance(data, str):
            return data
        return measure(data).tobytes()
