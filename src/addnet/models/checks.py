"""Checks of options that the constructors in this room share."""

import difflib
from collections.abc import Iterable

from addnet.errors import UserError


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


def suggestion(value: object, choices: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` for the nearest choice, or an empty string."""
    near = difflib.get_close_matches(str(value), list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
