"""The test data recorded in a checkpoint → arguments to type, so that paths only come from the user."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from addnet.console import shown_path
from addnet.data.entries import entry_layout
from addnet.data.named import PATTERNS, heeding
from addnet.errors import UserError
from addnet.inference.evaluated_data import kept_share, names_data, stated_place, trained_data
from addnet.inference.loading import LoadedNetwork
from addnet.overrides import quoted, takes_path, to_type
from addnet.untrusted.texts import shown

Place: TypeAlias = Callable[[str], str]  # a path as stored in a checkpoint → as typed here

_NUMBERS = {"test_fraction": None, "limit_test": None, "max_bad_fraction": 0.01}  # key → default in configs/data
_LONGEST = 2000  # characters of all arguments together
_OTHERS = "name other data with data.data_dir=PATH, or several data sets with data.test=[LAYOUT:PATH,…]"


def require_data(data: Mapping[str, Any], loaded: LoadedNetwork) -> None:
    """Checks that the user names the test data: paths are never taken from a checkpoint, which may be untrusted.

    Args:
        data: The `data` node of the config.
        loaded: The checkpoint.

    Raises:
        UserError: No data are named, or the test share of the training data would be chosen differently than in
            training; the message has the arguments for the data that the checkpoint was tested on.
    """
    arguments = arguments_of(loaded)
    if not names_data(data):
        raise UserError(f"no test data are named{_said(loaded.path, arguments)}")
    trained = trained_data(loaded)
    others = [f"data.{key}" for key in ("group_pattern", "video_pattern") if data.get(key) != trained.get(key)]
    if kept_share(data, loaded) is not None and others:
        raise UserError(
            f"{data['data_dir']} was used for training except for a test share, which was chosen with another "
            f"{' and '.join(others)}: now the test share would contain training images{_said(loaded.path, arguments)}"
        )


def _said(path: Path, arguments: str) -> str:
    if not arguments:
        return f", and {path} doesn't contain which data it was tested on; {_OTHERS}"
    return f". {path} was tested on the following data; to use them, add to the command\n  {arguments}\nOr {_OTHERS}"


def arguments_of(loaded: LoadedNetwork) -> str:
    """Returns the arguments of `evaluate` for the data that a checkpoint was tested on, quoted for a shell.

    Args:
        loaded: The checkpoint.

    Returns:
        The arguments; empty if the checkpoint has no record of the data, like exports, or if they can't be typed.
    """
    trained = trained_data(loaded)
    if loaded.exported or not trained:
        return ""
    try:
        line = " ".join(_arguments(trained, lambda path: shown_path(stated_place(path, loaded))))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):  # values that no config has
        return ""
    return line if line == shown(line, most=_LONGEST) and "${" not in line else ""


def _arguments(data: Mapping[str, Any], place: Place) -> Iterator[str]:
    if entries := data.get("test") or data.get("train"):
        key = "train" if not data.get("test") and data.get("test_fraction") else "test"
        yield shlex.quote(f"data.{key}=[{','.join(_entry(entry, place) for entry in entries)}]")
    else:
        yield to_type("data.layout", _text(data["layout"]))
        for key in ("data_dir", "index"):
            if data.get(key):
                yield to_type(f"data.{key}", place(_text(data[key])))
    options = _options_to_type(data)
    if entries and any(key not in PATTERNS for key in options) and data["layout"] != "folder":
        yield to_type("data.layout", _text(data["layout"]))  # the layout that the options belong to
    for key, value in options.items():
        yield to_type(f"data.{key}", _text(value)) if key in PATTERNS else _option(key, value, place)
    yield from (
        f"data.{key}={float(data[key]):g}" for key, usual in _NUMBERS.items() if data.get(key) not in (None, usual)
    )
    if data.get("limit_test") is not None:
        yield f"data.seed={int(data['seed'])}"
    if data.get("verify") is False:
        yield "data.verify=false"


def _options_to_type(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options and patterns of a `data` node that apply to its data sets; others would be refused."""
    given = {key: value for key, value in (data.get("options") or {}).items() if key != "cache_dir"}
    given |= {key: data.get(key) for key in PATTERNS}
    given = {key: value for key, value in given.items() if value is not None}
    if entries := data.get("test") or data.get("train"):
        layouts = [entry_layout(entry) for entry in entries]
        return {key: value for key, value in given.items() if heeding(key, _text(data["layout"]), layouts)}
    return given


def _option(key: str, value: Any, place: Place) -> str:
    if not key.isidentifier():
        raise ValueError(key)
    if isinstance(value, str):
        return to_type(f"++data.options.{key}", _placed(key, value, place))
    return shlex.quote(f"++data.options.{key}={_value(key, value, place)}")


def _value(key: str, value: Any, place: Place) -> str:
    """Formats a value of an option in Hydra's grammar."""
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(_value(key, part, place) for part in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_name(name)}:{_value(name, part, place)}" for name, part in value.items()) + "}"
    return quoted(_placed(key, _text(value), place))


def _placed(key: str, text: str, place: Place) -> str:
    return place(text) if takes_path(key) or text.startswith(("../", "~/")) else text


def _name(key: Any) -> str:
    if not isinstance(key, str) or not key.isidentifier():
        raise ValueError(key)
    return key


def _entry(entry: Any, place: Place) -> str:
    """Formats one of several data sets in Hydra's grammar."""
    if isinstance(entry, Mapping):
        given = {key: value for key, value in entry.items() if value is not None}
        return _value(
            "", {key: place(v) if key in ("data_dir", "index") else v for key, v in given.items()}, lambda p: p
        )
    name, colon, path = _text(entry).partition(":")
    return quoted(f"{name}:{place(path)}" if colon else place(name))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
