"""Checks config values against the annotations of the parameters that take them, before anything is built."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any

from addnet.errors import UserError

_IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


def check_arguments(target: Callable[..., Any], given: Mapping[str, Any], *, prefix: str = "") -> None:
    """Checks values against the annotations of a class or function, if these are numbers, booleans or None.

    Python doesn't check types: `batch_size=64.5`, or `align=no`, a text and therefore true, would be noticed late or
    never.

    Args:
        target: The class or function that takes the values.
        given: Values by name; unknown names are ignored.
        prefix: The prefix of the names in the config, such as `data.`.

    Raises:
        UserError: A value doesn't have the annotated type.

    Example:
        >>> def resize(size: int, margin: float | None = None): ...
        >>> check_arguments(resize, {"size": 64, "margin": 1}, prefix="data.")
        >>> check_arguments(resize, {"size": "64x64"}, prefix="data.")
        Traceback (most recent call last):
        addnet.errors.UserError: data.size='64x64' must be a whole number
    """
    for name, parameter in inspect.signature(target).parameters.items():
        kinds = _plain_kinds(parameter.annotation, target)
        if name in given and kinds and not any(_is(given[name], kind) for kind in kinds):
            expected = " or ".join(_IN_WORDS[kind] for kind in (kinds if set(kinds) != {int, float} else (float,)))
            raise UserError(f"{prefix}{name}={given[name]!r} must be {expected}")


def require_number(option: str, value: object, *, optional: bool = False) -> None:
    """Checks that a value is a number, or null if `optional`.

    Raises:
        UserError: It is not a number, for example a text.
    """
    if not (_is(value, float) or (optional and value is None)):
        raise UserError(f"{option}={value!r} must be a number{', such as 1e-4' if not optional else ' or null'}")


def require_within(option: str, value: object, low: float, high: float, unit: str = "a number") -> None:
    """Checks that a value is a number in [low, high].

    Args:
        option: Name of the option as a user types it.
        value: The user's value.
        low: Smallest allowed value.
        high: Largest allowed value.
        unit: What the number is, for the message.

    Raises:
        UserError: It is not a number, or it is out of range.

    Example:
        >>> require_within("blend.target", 1.5, 0, 1, "a probability")
        Traceback (most recent call last):
        addnet.errors.UserError: blend.target=1.5 is not valid; use a probability in [0, 1]
    """
    if not (_is(value, float) and low <= value <= high):  # type: ignore[operator]
        raise UserError(f"{option}={value!r} is not valid; use {unit} in [{low:g}, {high:g}]")


def require_range(option: str, value: object, low: float, high: float) -> None:
    """Checks that a value is a pair of numbers, the smaller one first, both in [low, high].

    Raises:
        UserError: It is not such a pair, or it is out of range.

    Example:
        >>> require_range("blend.scale", [1.1, 0.9], 0.5, 2)
        Traceback (most recent call last):
        addnet.errors.UserError: blend.scale=[1.1, 0.9] is not a range; use two numbers [low, high] in [0.5, 2]
    """
    pair: list[Any] = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(pair) != 2 or not all(_is(one, float) for one in pair) or not low <= pair[0] <= pair[1] <= high:
        shown = pair or value
        raise UserError(f"{option}={shown!r} is not a range; use two numbers [low, high] in [{low:g}, {high:g}]")


def _plain_kinds(annotation: Any, target: Callable[..., Any]) -> tuple[type, ...]:
    """Returns the plain types that an annotation allows; empty if it allows anything else, such as texts."""
    holder = _Holder()
    holder.__annotations__ = {"value": annotation}
    try:
        annotation = typing.get_type_hints(holder, globalns=_globals(target))["value"]
    except (NameError, TypeError):  # imported only for type checkers
        return ()
    union = typing.get_origin(annotation) in (UnionType, typing.Union)
    kinds = typing.get_args(annotation) if union else (annotation,)
    return kinds if all(kind in (int, float, bool, NoneType) for kind in kinds) else ()


class _Holder:
    """Holds a single annotation, so that the other annotations of its function aren't evaluated."""

    __annotations__: dict[str, Any]


def _globals(target: Callable[..., Any]) -> dict[str, Any]:
    function = inspect.unwrap(vars(target).get("__init__", target) if isinstance(target, type) else target)
    names: dict[str, Any] = getattr(function, "__globals__", {})
    return names


def _is(value: object, kind: type) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)
