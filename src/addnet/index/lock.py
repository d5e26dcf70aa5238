"""A lock that lets one process at a time write an index; a second one waits, or reports who holds the lock."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from addnet.errors import UserError

log = logging.getLogger(__name__)


@contextlib.contextmanager
def sole_writer(index: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock for writing an index; it is released when this process ends, however it ends.

    Args:
        index: The index file; two small files are kept beside it in the meantime.
        wait: Waits for another writer (Ctrl-C stops waiting) instead of raising.

    Raises:
        UserError: Another process, named in the message, is writing the index and `wait` is false.
    """
    index.parent.mkdir(parents=True, exist_ok=True)
    holder = index.with_name(f".{index.name}.writer")
    lock = FileLock(index.with_name(f".{index.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = _who(holder)
        if getattr(multiprocessing.current_process(), "_inheriting", False):  # our parent has the lock and waits for us
            raise UserError("a script that prepares data must do so under `if __name__ == '__main__':`") from None
        if not wait:
            raise UserError(f"{index} is being written by {who}; wait until it is done, or end it") from None
        log.warning("%s is being written by %s; waiting for it (Ctrl-C to stop)", index, who)
        lock.acquire()
    try:
        since = datetime.now().isoformat(timespec="seconds")
        with contextlib.suppress(OSError):  # on a full disk, others can't see who holds it, but the lock still works
            holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _who(holder: Path) -> str:
    try:
        writer = json.loads(holder.read_text())
        return f"process {writer['pid']} on {writer['host']} since {writer['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"
