"""Messages for problems of the machine: too little shared memory, a full disk, a folder without access."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from addnet.errors import UserError

_SHARED = Path("/dev/shm")
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOSPC, errno.EDQUOT)


def in_words(error: BaseException) -> str:
    """Returns a message for an error that is caused by the machine and not by the program.

    Args:
        error: Any error; its causes are examined too.

    Returns:
        The problem and its remedy; empty for any other error.

    Example:
        >>> in_words(PermissionError(13, "Permission denied", "/etc/mine"))
        '/etc/mine: Permission denied; use another folder, or get write access to this one'
    """
    seen: BaseException | None = error
    while seen is not None:
        if message := _shared_memory(seen) or _file_system(seen) or _environment(seen):
            return message
        seen = seen.__cause__
    return ""


def require_writable(option: str, folder: str | Path) -> None:
    """Checks that a folder is writable or can be created.

    Raises:
        UserError: It isn't: a part of its path is a file or is not writable for this user.
    """
    place = Path(folder).absolute()
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    if not there.is_dir():
        raise UserError(f"{option}={folder} can't be a folder: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(
            f"{option}={folder} can't be written to: this user has no write access to {there}; use another folder"
        )


def _environment(error: BaseException) -> str:
    """Returns the message for `${oc.env:NAME}` without such a variable, which OmegaConf reports."""
    match = re.search(r"Environment variable '(\w+)' not found", str(error))
    if not match:
        return ""
    setting = getattr(error, "full_key", None) or "a setting"
    return (
        f"{setting} takes its value from the environment variable {match[1]}, which is not set; set it, or change "
        f"{setting}"
    )


def _shared_memory(error: BaseException) -> str:
    text = str(error)
    if not ("shared memory" in text and "o space left" in text) and "Bus error" not in text:
        return ""
    size = f"{shutil.disk_usage(_SHARED).total / 2**20:,.0f} MiB" if _SHARED.is_dir() else "too little"
    return (
        f"shared memory is too small for the loader processes ({_SHARED} has {size}); use fewer or none, with "
        "data.num_workers=0, or start the container with more, such as docker run --shm-size=8g"
    )


def _file_system(error: BaseException) -> str:
    if not isinstance(error, OSError) or error.errno not in _CLOSED or not error.filename:
        return ""
    remedy = "use another folder, or get write access to this one"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space, or use another folder"
    return f"{error.filename}: {error.strerror}; {remedy}"
