"""Errors with messages for users, and the check that raises them most often."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """An error that the user can correct: the message names the value, what was expected and the remedy.

    Commands print only its message, without a traceback.
    """


class RunStoppedError(UserError):
    """A run was asked to stop and can be resumed later.

    Args:
        message: What was saved and how to resume.
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
        option: Name of the option as a user types it, for the message.
        value: What the user gave.
        choices: The allowed values, in the order in which the message lists them.

    Raises:
        UserError: `value` is not among `choices`; the message lists them and suggests the nearest.
    """
    names = list(choices)
    if isinstance(value, str) and value in names:
        return value
    near = suggestion(value, names)
    raise UserError(f"{option}={value!r} is unknown; choose one of: {', '.join(names)}.{near}")


def shortened(names: Iterable[str], *, limit: int = 10) -> str:
    """Lists the first names, and how many more there are, on one line.

    Example:
        >>> shortened(["a", "b", "c", "d"], limit=2)
        'a, b and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def suggestion(value: object, choices: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` for the nearest choice, or an empty string if none is near."""
    near = difflib.get_close_matches(str(value), list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
