"""One call in a process of its own, within the limits of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from addnet.errors import UserError
from addnet.pool.processes import ProcessExecutor, WorkerDiedError
from addnet.untrusted.limits import Bound, Limits

T = TypeVar("T")


def call_within(limits: Limits, executor: ProcessExecutor, function: Callable[..., T], *args: object) -> T:
    """Calls a function in a process of an executor, which is started again if the call ends it.

    Args:
        limits: What the call may take.
        executor: Its processes; `shutdown` from another thread kills them, and so ends the call.
        function: One that can be pickled; its arguments and result too.
        args: Its arguments.

    Raises:
        UserError: The function raised one; it took more than a file may; or its process died.
        Exception: The function raised something else.
    """
    try:
        return executor.submit(_within, limits, function, args).result()
    except WorkerDiedError as error:
        raise UserError(f"the process that was reading it died: {error}") from error


def _within(limits: Limits, function: Callable[..., T], args: tuple[object, ...]) -> T:
    with Bound(limits):
        return function(*args)
