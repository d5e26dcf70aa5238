"""The error that is meant for people, and the check that most often raises it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the caller can put right: the message names the value, what was expected and the remedy.

    Commands print its text alone, without a traceback.
    """


class RunStoppedError(UserError):
    """A run was asked to stop and can go on later.

    Args:
        message: What was kept and how to go on.
        code: The command's exit code: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class NotWrittenError(UserError):
    """A file can't be written, for example because the disk is full."""


def require_choice(option: str, value: object, choices: Iterable[str]) -> str:
    """Returns `value` if it is one of `choices`.

    Args:
        option: Name of the option as a user writes it, for the message.
        value: What the user gave.
        choices: The values that are allowed, in the order in which the message lists them.

    Raises:
        UserError: `value` is not among `choices`; the message lists them and suggests the nearest.
    """
    names = list(choices)
    if isinstance(value, str) and value in names:
        return value
    near = suggestion(value, names)
    raise UserError(f"{option}={value!r} is unknown; choose one of: {', '.join(names)}.{near}")


def shortened(names: Iterable[str], *, limit: int = 10) -> str:
    """Names in a line: the first ones, and how many more there are.

    Example:
        >>> shortened(["a", "b", "c", "d"], limit=2)
        'a, b and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def suggestion(value: object, choices: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` for the nearest choice, or an empty string."""
    near = difflib.get_close_matches(str(value), list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
