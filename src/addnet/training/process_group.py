"""Leaves the process group before a process ends."""

from __future__ import annotations

import atexit

from torch import distributed

_registered: list[bool] = []


def leave_at_exit() -> None:
    """Makes this process leave its process group before the interpreter exits; does nothing if it is in none.

    Lightning does so for NCCL only. Gloo's threads may also still run while the interpreter shuts down, and then the
    process aborts ("terminate called without an active exception") after all of its work is done.
    """
    if not _registered and distributed.is_available() and distributed.is_initialized():
        _registered.append(True)
        atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
