"""A generator that runs in a process of its own: what it yields comes as it is made, and it may die alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import partial
from typing import Any, ParamSpec, TypeVar

from addnet.pool.job import Job
from addnet.pool.streams import streams
from addnet.untrusted.limits import Limits

P = ParamSpec("P")
T = TypeVar("T")


def streamed(function: Callable[P, Iterable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
    """Iterates over what a function gives, in a process that is spawned for it.

    The process waits while nobody takes what it made, so that memory doesn't grow. Closing the generator kills it.

    Args:
        function: One that can be pickled; its arguments and items too.
        args: Its arguments.
        kwargs: Those with names.

    Raises:
        UserError: The function raised one; or its process died, whether it was killed, took more than a file may, or
            crashed in native code.
        RuntimeError: The function raised something else; the text has its traceback.
    """
    return streamed_within(Limits(), function, *args, **kwargs)


def streamed_within(
    limits: Limits, function: Callable[P, Iterable[T]], /, *args: P.args, **kwargs: P.kwargs
) -> Generator[T, None, None]:
    """The same with other limits than a file has otherwise."""
    job: Job[None, Iterable[T]] = Job.of(partial(_called, partial(function, *args, **kwargs)), limits=limits)
    with closing(streams(job, [None], workers=1, at_once=1)) as found:
        for stream in found:
            yield from stream


def _called(function: Callable[[], Iterable[T]], _: Any) -> Iterable[T]:
    return function()
