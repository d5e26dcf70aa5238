"""What a checkpoint says it was tested on → arguments to type, so that the places are the user's own word."""

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

Place: TypeAlias = Callable[[str], str]  # a path as a checkpoint tells it → as it is typed here

_NUMBERS = {"test_fraction": None, "limit_test": None, "max_bad_fraction": 0.01}  # and what they are in configs/data
_LONGEST = 2000  # characters of all arguments together
_OTHERS = "name others by data.data_dir=PATH, or several by data.test=[LAYOUT:PATH,…]"


def require_data(data: Mapping[str, Any], loaded: LoadedNetwork) -> None:
    """Sees to it that the user says which data to evaluate on: a stranger's file names no places.

    Args:
        data: The `data` node of the config.
        loaded: The checkpoint.

    Raises:
        UserError: None are named, or a part of the training's own that it wasn't tested on; the text tells what it was
            tested on, as arguments.
    """
    arguments = arguments_of(loaded)
    if not names_data(data):
        raise UserError(f"no test data are named{_said(loaded.path, arguments)}")
    trained = trained_data(loaded)
    others = [f"data.{key}" for key in ("group_pattern", "video_pattern") if data.get(key) != trained.get(key)]
    if kept_share(data, loaded) is not None and others:
        raise UserError(
            f"{data['data_dir']} was trained on, but for a share that was chosen by other {' and '.join(others)}: with "
            f"these, images that were trained on would be tested on{_said(loaded.path, arguments)}"
        )


def _said(path: Path, arguments: str) -> str:
    if not arguments:
        return f", and {path} doesn't say which it was tested on; {_OTHERS}"
    return f". {path} says that it was tested on these; to use them, add to the command\n  {arguments}\nOr {_OTHERS}"


def arguments_of(loaded: LoadedNetwork) -> str:
    """Arguments of `evaluate` for the data that a checkpoint was tested on, as a shell takes them.

    Args:
        loaded: The checkpoint.

    Returns:
        Empty where it doesn't say, as exports do, or says it in a way that can't be typed.
    """
    trained = trained_data(loaded)
    if loaded.exported or not trained:
        return ""
    try:
        line = " ".join(_arguments(trained, lambda path: shown_path(stated_place(path, loaded))))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):  # other values than a config has
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
    told = _told_options(data)
    if entries and any(key not in PATTERNS for key in told) and data["layout"] != "folder":
        yield to_type("data.layout", _text(data["layout"]))  # which says whose options they are
    for key, value in told.items():
        yield to_type(f"data.{key}", _text(value)) if key in PATTERNS else _option(key, value, place)
    yield from (
        f"data.{key}={float(data[key]):g}" for key, usual in _NUMBERS.items() if data.get(key) not in (None, usual)
    )
    if data.get("limit_test") is not None:
        yield f"data.seed={int(data['seed'])}"
    if data.get("verify") is False:
        yield "data.verify=false"


def _told_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """Options and patterns of a `data` node that its data sets heed: others would be refused."""
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
    """A value of an option in Hydra's grammar."""
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
    """One of several data sets, in Hydra's grammar."""
    if isinstance(entry, Mapping):
        said = {key: value for key, value in entry.items() if value is not None}
        return _value(
            "", {key: place(v) if key in ("data_dir", "index") else v for key, v in said.items()}, lambda p: p
        )
    name, colon, path = _text(entry).partition(":")
    return quoted(f"{name}:{place(path)}" if colon else place(name))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
