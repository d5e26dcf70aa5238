"""Captures the complaints of libjpeg while it decodes: they go to standard error, and no library passes them on."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_DAMAGE = re.compile(rb"(Corrupt JPEG data|Premature end of JPEG|Inconsistent progression)[^\n]*")
_ONE_AT_A_TIME = threading.Lock()  # all threads share one standard error
_STDERR = 2
_MOST = 1 << 16


@contextmanager
def jpeg_complaints() -> Iterator[list[str]]:
    """Collects libjpeg's messages about damage within the block; passes on other output to standard error afterwards.

    A JPEG that was truncated and closed by an end marker, or whose data are out of sync, decodes without an error: the
    missing part becomes grey.

    Returns:
        A list that holds the messages once the block has ended; it stays empty if standard error is closed.
    """
    complaints: list[str] = []
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # closed, as in a daemon
            yield complaints
            return
        buffer = _buffer()
        try:
            os.dup2(buffer, _STDERR)
            yield complaints
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            text = os.pread(buffer, _MOST, 0)
            os.close(buffer)
            complaints += [match[0].decode("ascii", "replace") for match in _DAMAGE.finditer(text)]
            if rest := _DAMAGE.sub(b"", text).strip(b"\n"):
                os.write(_STDERR, rest + b"\n")


def _buffer() -> int:
    """Descriptor of a file in memory, or of a temporary file on systems without memfd."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("jpeg")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
