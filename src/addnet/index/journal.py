"""What was found since the index was last written: one line an image, on disk as soon as it is known.

A process that is killed loses the image it was at. The next one finds the lines here and goes on.
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

    A line is a checksum, a blank and JSON: a line that was torn by a kill or a full disk does not fit its checksum.

    Args:
        index: The index file; the journal lies beside it.
    """

    def __init__(self, index: Path) -> None:
        self.file = index.with_name(f"{index.name}.journal")
        self._stream: Any = None
        self._before = b""  # ends a line that was torn

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
        """Adds one row: the columns of the index as plain values, and its 136 numbers.

        Raises:
            NotWrittenError: The disk is full, or may not be written to. What was appended before is whole.
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
            f"{self.file} cannot be written: {error.strerror or error}; what was found before is kept: "
            "make room and start again"
        )

    def replay(self) -> Iterator[Line]:
        """What was appended, in order; damaged lines are left out and counted."""
        if not self.file.is_file():
            return
        damaged = 0
        with self.file.open("rb") as stream:
            for line in stream:
                found = _read(line)
                if found:
                    yield found
                else:
                    damaged += bool(line.strip())
        if damaged:
            lines = count(damaged, "damaged line is", "damaged lines are")
            log.warning("%s: %s left out; what stood there is looked at again", self.file, lines)

    def clear(self, *, unfinished: bool = False) -> None:
        """Empties the journal, once the index holds what was in it.

        Args:
            unfinished: Leaves it there, as a sign that preparation did not come to its end.
        """
        if unfinished and self.file.is_file():
            os.truncate(self.file, 0)
            self._before = b""
        else:
            self.file.unlink(missing_ok=True)


def _is_torn(file: Path) -> bool:
    """Whether the last line was cut off."""
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
