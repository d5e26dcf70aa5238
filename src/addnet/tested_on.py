"""What a checkpoint says it was tested on → arguments to type, so that the places are the user's own word."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from addnet.console import shown_path
from addnet.errors import UserError
from addnet.inference.loading import Loaded
from addnet.overrides import quoted, takes_path, to_type
from addnet.untrusted.texts import shown

_NUMBERS = ("test_fraction", "limit_test", "max_bad_fraction")
_LONGEST = 2000  # characters of all arguments together
_OTHERS = "name others by data.data_dir=PATH, or several by data.test=[LAYOUT:PATH,…]"


def require_data(data: Mapping[str, Any], loaded: Loaded) -> None:
    """Sees to it that the user says which data to evaluate on: a stranger's file names no places.

    Args:
        data: The `data` node of the config.
        loaded: The checkpoint.

    Raises:
        UserError: None are named; the text tells what the checkpoint was tested on, as arguments.
    """
    from addnet.inference.evaluated_data import names_data

    if names_data(data):
        return
    if not (arguments := arguments_of(loaded)):
        raise UserError(f"no test data are named, and {loaded.path} doesn't say where its own are; {_OTHERS}")
    raise UserError(
        f"no test data are named. {loaded.path} says that it was tested on the following; to use that, add to the "
        f"command\n  {arguments}\nor {_OTHERS}"
    )


def arguments_of(loaded: Loaded) -> str:
    """Arguments of `evaluate` for the data that a checkpoint was tested on, as a shell takes them.

    Args:
        loaded: The checkpoint.

    Returns:
        Empty where it doesn't say, as exports do, or says it in a way that can't be typed.
    """
    config = loaded.about.get("config")
    trained = config.get("data") if isinstance(config, Mapping) else None
    if loaded.exported or not isinstance(trained, Mapping):
        return ""
    portable = config.get("paths") == {"output_dir": "."}
    run = loaded.path.resolve().parents[1] if portable else None
    try:
        line = " ".join(_arguments(trained, run))
    except (TypeError, ValueError):  # another kind of value than a config has
        return ""
    usable = line == shown(line) and len(line) <= _LONGEST and "${" not in line
    return line if usable else ""


def _arguments(data: Mapping[str, Any], run: Path | None) -> Iterator[str]:
    if entries := data.get("test") or data.get("train"):
        yield shlex.quote(f"data.test=[{','.join(_entry(entry, run) for entry in entries)}]")
    else:
        yield to_type("data.layout", _text(data["layout"]))
        for key in ("data_dir", "index"):
            if data.get(key):
                yield to_type(f"data.{key}", _place(_text(data[key]), run))
    for key, value in (data.get("options") or {}).items():
        if value is not None and key != "cache_dir":
            yield _option(key, value, run)
    for key in ("group_pattern", "video_pattern"):
        if data.get(key):
            yield to_type(f"data.{key}", _text(data[key]))
    yield from (f"data.{key}={float(data[key]):g}" for key in _NUMBERS if data.get(key) is not None)
    if data.get("limit_test") is not None:
        yield f"data.seed={int(data['seed'])}"
    if data.get("verify") is False:
        yield "data.verify=false"


def _option(key: str, value: Any, run: Path | None) -> str:
    if not key.isidentifier():
        raise ValueError(key)
    if isinstance(value, bool | int | float):
        return f"++data.options.{key}={str(value).lower()}"
    if isinstance(value, list):
        return shlex.quote(f"++data.options.{key}=[{','.join(quoted(_text(part)) for part in value)}]")
    text = _text(value)
    placed = takes_path(key) or text.startswith(("../", "~/"))
    return to_type(f"++data.options.{key}", _place(text, run) if placed else text)


def _entry(entry: Any, run: Path | None) -> str:
    """One of several data sets, in Hydra's grammar."""
    if isinstance(entry, Mapping):
        pairs = []
        for key, value in entry.items():
            text = _text(value)
            pairs.append(f"{key}:{quoted(_place(text, run) if key in ('data_dir', 'index') else text)}")
            if not key.isidentifier():
                raise ValueError(key)
        return "{" + ",".join(pairs) + "}"
    name, colon, path = _text(entry).partition(":")
    return quoted(f"{name}:{_place(path, run)}" if colon else _place(name, run))


def _place(path: str, run: Path | None) -> str:
    """A path as it lies from here; `run` is None where an earlier version wrote it as it was typed."""
    if run is None or path.startswith("~"):
        return path
    return shown_path(os.path.normpath(run / path))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
