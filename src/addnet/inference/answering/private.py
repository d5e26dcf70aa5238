"""The folder of all temporary files of the page: removed when it ends, or by the next run if it was killed."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

_PREFIX = "addnet-app-"
_STARTING = "addnet-starting-"  # the name until its lock is held, so that no other process removes it as left behind
_LOCK = ".in-use"
_QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yields a folder for all temporary files of this process, including Gradio's, and removes it at the end.

    Folders of earlier processes that were killed are removed first. Environment variables that configure Gradio, for
    example to create a public link, are ignored within the block.
    """
    before, temporary = dict(os.environ), tempfile.tempdir
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    remove_left_behind(Path(tempfile.gettempdir()))
    with ExitStack() as stack:
        folder = _made(stack)
        os.environ.update(_QUIET, GRADIO_TEMP_DIR=str(folder / "uploads"))
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = temporary
            os.environ.clear()
            os.environ.update(before)


def remove_left_behind(temporary: Path) -> list[Path]:
    """Removes the folders of processes of the same user that were killed.

    The folder of a running process is locked; the lock is released when the process ends, even if it is killed.

    Args:
        temporary: The folder that contains them.

    Returns:
        The folders that were removed.
    """
    removed = []
    for folder in temporary.glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout):
            status = folder.lstat()
            if not folder.is_dir() or folder.is_symlink() or not (folder / _LOCK).is_file():
                continue
            if hasattr(os, "getuid") and status.st_uid != os.getuid():
                continue
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)  # on Windows the lock file was still open before
            removed.append(folder)
    if removed:
        log.info("removed temporary folders of earlier processes that were killed: %s", ", ".join(map(str, removed)))
    return removed


def _made(stack: ExitStack) -> Path:
    """Creates a folder whose lock is held until the stack is closed, when it is removed."""
    starting = Path(tempfile.mkdtemp(prefix=_STARTING))
    folder = starting.with_name(starting.name.replace(_STARTING, _PREFIX, 1))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    if os.name == "nt":  # Windows can't rename a folder with an open file in it; it is briefly without a lock
        starting = starting.rename(folder)
    lock = FileLock(starting / _LOCK)
    lock.acquire()
    stack.callback(lock.release)
    if starting != folder:
        starting.rename(folder)
    (folder / "uploads").mkdir()
    return folder
