"""The findings since the index was last written: one line per image, on disk as soon as the image is done.

A process that is killed loses only the image it was working on. The next one reads the lines here and continues.
"""

from __future__ import annotations

import base64
import errno
import json
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from addnet.errors import NotWrittenError
from addnet.index.landmarks import VALUES, Rows
from addnet.wording import count

log = logging.getLogger(__name__)

Line = tuple[dict[str, Any], Rows | None]


class Journal:
    """Rows of an index, appended one by one.

    A line is a checksum, a space and JSON: a line cut off by a kill or a full disk doesn't match its checksum.

    Args:
        index: The index file; the journal is stored beside it.
    """

    def __init__(self, index: Path) -> None:
        self.file = index.with_name(f"{index.name}.journal")
        self._stream: Any = None
        self._before = b""  # the line break that ends a line that was cut off

    def __enter__(self) -> Self:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._before = b"\n" if _is_torn(self.file) else b""
        try:
            self._stream = self.file.open("ab", buffering=0)
        except OSError as error:
            raise self._not_written(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def append(self, row: dict[str, Any], landmarks: Rows | None) -> None:
        """Adds one row: the columns of the index as plain values, and the 136 values of its landmarks.

        Raises:
            NotWrittenError: The disk is full, or writing isn't allowed. Earlier rows are intact.
        """
        encoded = None if landmarks is None else base64.b64encode(np.asarray(landmarks, "<f4").tobytes()).decode()
        text = json.dumps([row, encoded], separators=(",", ":")).encode()
        line = b"%s%08x %s\n" % (self._before, zlib.crc32(text), text)
        try:
            if self._stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._not_written(error) from error
        self._before = b""

    def _not_written(self, error: OSError) -> NotWrittenError:
        return NotWrittenError(
            f"{self.file} cannot be written: {error.strerror or error}; earlier results are kept: "
            "make room and start again"
        )

    def replay(self) -> Iterator[Line]:
        """Yields the rows in the order in which they were appended; skips damaged lines and logs how many."""
        if not self.file.is_file():
            return
        damaged = 0
        with self.file.open("rb") as stream:
            for line in stream:
                row = _read(line)
                if row:
                    yield row
                else:
                    damaged += bool(line.strip())
        if damaged:
            lines = count(damaged, "damaged line", "damaged lines")
            log.warning("%s: skipped %s; their images are examined again", self.file, lines)

    def clear(self, *, unfinished: bool = False) -> None:
        """Removes the journal once the index holds its rows.

        Args:
            unfinished: Leaves the journal there, empty, as a sign that preparation didn't finish.
        """
        if unfinished and self.file.is_file():
            os.truncate(self.file, 0)
            self._before = b""
        else:
            self.file.unlink(missing_ok=True)


def _is_torn(file: Path) -> bool:
    """Whether the last line is incomplete."""
    if not file.is_file() or not file.stat().st_size:
        return False
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def _read(line: bytes) -> Line | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    row, encoded = json.loads(text)
    if encoded is None:
        return row, None
    landmarks = np.frombuffer(base64.b64decode(encoded), "<f4")
    return (row, landmarks) if len(landmarks) == VALUES else None
