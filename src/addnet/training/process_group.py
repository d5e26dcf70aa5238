"""The end of processes that trained together."""

from __future__ import annotations

import atexit

from torch import distributed

_asked: list[bool] = []


def leave_at_exit() -> None:
    """Lets this process leave its group before the interpreter ends, once; nothing where it is in none.

    Lightning does so for NCCL alone. Gloo's threads, too, may still run when the rest is gone, and then the process
    aborts ("terminate called without an active exception") after all of its work was done.
    """
    if not _asked and distributed.is_available() and distributed.is_initialized():
        _asked.append(True)
        atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
