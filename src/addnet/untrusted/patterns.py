"""Searches untrusted names for a user's regular expressions, with a time limit.

Python's `re` has no time limit, and searching a name of forty letters for `(a+)+$` practically never ends. Patterns
come only from the command line or the config of the user, never from a checkpoint, a manifest or an index.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from addnet.errors import UserError
from addnet.untrusted.texts import shown

SECONDS = 5.0  # for a few hundred names, each of which takes microseconds
_AT_ONCE = 256  # an alarm for each name would take longer than the search


def compiled(option: str, pattern: str | None) -> re.Pattern[str] | None:
    """Compiles a pattern that a user typed; None if there is none.

    Args:
        option: The option that takes the pattern, for messages.
        pattern: A regular expression.

    Raises:
        UserError: It is not a regular expression.
    """
    try:
        return re.compile(pattern) if pattern else None
    except (re.error, RecursionError, OverflowError) as error:
        raise UserError(f"{option}={pattern!r} is not a regular expression: {error}") from error


def searched(names: Sequence[str], pattern: re.Pattern[str], option: str) -> list[str]:
    """Returns what a pattern matches in each name: its first group, or the whole match.

    Args:
        names: Names, such as paths below a data folder.
        pattern: A pattern from `compiled`.
        option: The option that takes the pattern, for messages.

    Raises:
        UserError: It matches nothing in a name, or the search takes too long.
    """
    matches: list[str] = []

    def timeout_message() -> str:
        name = shown(names[len(matches)])
        return f"{option}={pattern.pattern!r} takes longer than {SECONDS:g} s in names such as {name}"

    for start in range(0, len(names), _AT_ONCE):
        with _limited(timeout_message):
            matches.extend(_searched(name, pattern, option) for name in names[start : start + _AT_ONCE])
    return matches


def _searched(name: str, pattern: re.Pattern[str], option: str) -> str:
    match = pattern.search(name)
    text = match and (match.group(1) if pattern.groups else match.group(0))
    if not text:
        raise UserError(
            f"{option}={pattern.pattern!r} matches nothing in {shown(name)}; it is searched for in paths like this one"
        )
    return text


@contextmanager
def _limited(message: Callable[[], str]) -> Iterator[None]:
    """Stops a search with an alarm, which `re` checks for while it searches; only the main thread can be stopped."""

    def end(*_: object) -> None:
        raise UserError(f"{message()}; write it without nested repetitions such as (a+)+")

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
