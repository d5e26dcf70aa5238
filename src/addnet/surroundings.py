"""What around a program may be too small or closed, in words: shared memory, disks, folders."""

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
    """Says what is wrong around the program, if an error comes from there.

    Args:
        error: Any; what it was raised from is looked at too.

    Returns:
        What is wrong and what to do; empty for any other error.

    Example:
        >>> in_words(PermissionError(13, "Permission denied", "/etc/mine"))
        '/etc/mine: Permission denied; use another folder, or have it opened for this user'
    """
    seen: BaseException | None = error
    while seen is not None:
        if told := _shared_memory(seen) or _file_system(seen) or _environment(seen):
            return told
        seen = seen.__cause__
    return ""


def require_writable(option: str, folder: str | Path) -> None:
    """Checks that files can be written to a folder, or that it can be made.

    Raises:
        UserError: They can't: a part of its path is a file or belongs to somebody else.
    """
    place = Path(folder).absolute()
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    if not there.is_dir():
        raise UserError(f"{option}={folder} can't be a folder: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{option}={folder} can't be written to: {there} is closed to this user; use another folder")


def _environment(error: BaseException) -> str:
    """Of what OmegaConf says where `${oc.env:NAME}` finds nothing."""
    found = re.search(r"Environment variable '(\w+)' not found", str(error))
    if not found:
        return ""
    setting = getattr(error, "full_key", None) or "a setting"
    taken = f"{setting} takes its value from the environment variable {found[1]}, which is not set"
    return f"{taken}; set it, or change {setting}"


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
    remedy = "use another folder, or have it opened for this user"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "make room, or use another folder"
    return f"{error.filename}: {error.strerror}; {remedy}"
