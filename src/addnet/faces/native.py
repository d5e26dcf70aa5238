"""What libjpeg complains of while it decodes: it writes that to the standard error, and no library passes it on."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_DAMAGE = re.compile(rb"(Corrupt JPEG data|Premature end of JPEG|Inconsistent progression)[^\n]*")
_ONE_AT_A_TIME = threading.Lock()  # the standard error is one for all threads
_STDERR = 2
_MOST = 1 << 16


@contextmanager
def jpeg_complaints() -> Iterator[list[str]]:
    """Gathers what libjpeg says of damage within the block; what others write meanwhile is passed on after it.

    A JPEG that was cut and closed by an end marker, or whose data are out of step, decodes without an error: what is
    missing becomes grey.

    Returns:
        The messages, once the block has ended. None where there is no standard error to write to.
    """
    found: list[str] = []
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # closed, as in a daemon
            yield found
            return
        buffer = _buffer()
        try:
            os.dup2(buffer, _STDERR)
            yield found
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            text = os.pread(buffer, _MOST, 0)
            os.close(buffer)
            found += [match[0].decode("ascii", "replace") for match in _DAMAGE.finditer(text)]
            if rest := _DAMAGE.sub(b"", text).strip(b"\n"):
                os.write(_STDERR, rest + b"\n")


def _buffer() -> int:
    """A file in memory, where there is such a thing."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("jpeg")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
