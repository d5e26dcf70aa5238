"""Regular expressions of a user, searched in names that strangers chose, for no longer than is sensible.

Python's `re` has no limit of time, and `(a+)+$` in a name of forty letters takes longer than anybody waits. Patterns
are taken from what a user types alone: never from a checkpoint, a manifest or an index.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from addnet.errors import UserError
from addnet.untrusted.texts import shown

SECONDS = 5.0  # for some hundred names, each of which takes microseconds
_AT_ONCE = 256  # an alarm for each name would take longer than the search


def compiled(option: str, pattern: str | None) -> re.Pattern[str] | None:
    """A pattern as it was typed; None if there is none.

    Args:
        option: What it was typed for, for messages.
        pattern: A regular expression.

    Raises:
        UserError: It is none.
    """
    try:
        return re.compile(pattern) if pattern else None
    except (re.error, RecursionError, OverflowError) as error:
        raise UserError(f"{option}={pattern!r} is not a regular expression: {error}") from error


def searched(names: Sequence[str], pattern: re.Pattern[str], option: str) -> list[str]:
    """What a pattern finds in each name: its first group, or its whole match.

    Args:
        names: Such as paths below a data folder.
        pattern: From `compiled`.
        option: What it was typed for, for messages.

    Raises:
        UserError: It finds nothing in one, or takes too long.
    """
    found: list[str] = []

    def told() -> str:
        name = shown(names[len(found)])
        return f"{option}={pattern.pattern!r} takes longer than {SECONDS:g} s in names such as {name}"

    for start in range(0, len(names), _AT_ONCE):
        with _limited(told):
            found.extend(_searched(name, pattern, option) for name in names[start : start + _AT_ONCE])
    return found


def _searched(name: str, pattern: re.Pattern[str], option: str) -> str:
    match = pattern.search(name)
    found = match and (match.group(1) if pattern.groups else match.group(0))
    if not found:
        raise UserError(
            f"{option}={pattern.pattern!r} finds nothing in {shown(name)}; it is searched in paths like this one"
        )
    return found


@contextmanager
def _limited(told: Callable[[], str]) -> Iterator[None]:
    """Ends a search by an alarm, which `re` heeds while it works; only the main thread can be told."""

    def end(*_: object) -> None:
        raise UserError(f"{told()}; write it without a repetition in a repetition, such as (a+)+")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
