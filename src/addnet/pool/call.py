"""Runs one call in a separate process, within the limits that hold for one file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from addnet.errors import UserError
from addnet.pool.processes import ProcessExecutor, WorkerDiedError
from addnet.untrusted.limits import Bound, Limits

T = TypeVar("T")


def call_within(limits: Limits, executor: ProcessExecutor, function: Callable[..., T], *args: object) -> T:
    """Calls a function in a process of an executor; if the call kills the process, the executor starts a new one.

    Args:
        limits: Memory and time that the call may use.
        executor: Provides the process; `shutdown` from another thread kills it and thereby ends the call.
        function: A function that can be pickled, as must its arguments and its result.
        args: The function's arguments.

    Raises:
        UserError: The function raised one, exceeded the limits, or its process died.
        Exception: The function raised something else.
    """
    try:
        return executor.submit(_within, limits, function, args).result()
    except WorkerDiedError as error:
        raise UserError(f"the process that was reading the file died: {error}") from error


def _within(limits: Limits, function: Callable[..., T], args: tuple[object, ...]) -> T:
    with Bound(limits):
        return function(*args)
