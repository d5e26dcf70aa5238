"""What travels (checkpoints, exports, cards, reports): without secrets, home folders and places of this machine."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

MASK = "***"
_UNKNOWN = object()
_hiding: ContextVar[bool] = ContextVar("_hiding", default=False)
_SECRET = re.compile(r"(api_?key|access_?key|token|password|passwd|secret|credential)s?$", re.IGNORECASE)
_LOGIN = re.compile(r"(\w://)[^/\s@]+@")  # user and password in a URL
_ARGUMENT = re.compile(r"([^=\s]+)=(.*)", re.DOTALL)


def masked(node: DictConfig | ListConfig) -> Any:
    """A config node as resolved dicts, lists and scalars, but for texts out of the environment.

    A text that `${oc.env:NAME}` has a part in keeps these very words in its place, wherever it was passed on; numbers
    and switches can't be secrets and stay. Keys that are called `…password`, `…token` or the like, and logins in URLs,
    are masked whoever gave them.

    Args:
        node: Part of a config, or all of it.

    Example:
        >>> os.environ["ADDNET_SETS"] = "/srv"
        >>> masked(OmegaConf.create({"folder": "${oc.env:ADDNET_SETS}/faces", "same": "${folder}", "api_key": "a1"}))
        {'folder': '${oc.env:ADDNET_SETS}/faces', 'same': '${oc.env:ADDNET_SETS}/faces', 'api_key': '***'}
    """
    resolved = OmegaConf.to_container(node, resolve=True)
    with environment_by_name():
        told = _leaves(node)
    return _chosen("", resolved, told)


@contextmanager
def environment_by_name() -> Iterator[None]:
    """Within, `${oc.env:NAME}` in a config resolves to these words where the variable is set, or is asked for anyway.

    Example:
        >>> with environment_by_name():
        ...     OmegaConf.select(OmegaConf.create({"user": "${oc.env:HOME}"}), "user")
        '${oc.env:HOME}'
    """
    OmegaConf.register_new_resolver("oc.env", _environment, replace=True)
    hidden = _hiding.set(True)
    try:
        yield
    finally:
        _hiding.reset(hidden)


def without_secrets(key: str, text: str) -> str:
    """A text without passwords.

    Args:
        key: What it is the value of, such as `logger.comet.api_key`.
        text: As it would be written.

    Example:
        >>> without_secrets("tracking_uri", "https://me:pass@server/x")
        'https://***@server/x'
    """
    return MASK if text and _SECRET.search(key) else _LOGIN.sub(rf"\1{MASK}@", text)


def without_home(text: str) -> str:
    """A text in which the user's home folder is called `~`."""
    home = str(Path.home())
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text) if len(home) > 1 else text


def relative(path: str | Path, run: Path) -> str:
    """A path as seen from a run folder; from the home folder where that alone is below it.

    Example:
        >>> relative("/srv/data/faces", Path("/srv/outputs/train/now"))
        '../../../data/faces'
    """
    place, run = Path(path).expanduser().absolute(), run.absolute()
    home = Path.home()
    if len(home.parts) > 1 and place.is_relative_to(home) and not run.is_relative_to(home):
        return str(Path("~", place.relative_to(home)))
    return os.path.relpath(place, run)


def shown_command(form: Sequence[str], arguments: Sequence[str]) -> str:
    """A command as it was typed, without the places of interpreter, script and home folder, and without passwords.

    Args:
        form: As `addnet.launch.command_form` gives it.
        arguments: Behind it.

    Example:
        >>> shown_command(["/opt/env/bin/python", "-m", "addnet.train"], ["seed=1", "logger.comet.api_key=abc"])
        "python -m addnet.train seed=1 'logger.comet.api_key=***'"
    """
    program = form[1:] if "-m" in form[1:2] else [Path(word).name for word in form[1:]]
    return shlex.join(["python", *program, *map(_argument, arguments)])


def _argument(text: str) -> str:
    found = _ARGUMENT.fullmatch(text)
    return without_home(f"{found[1]}={without_secrets(found[1], found[2])}" if found else text)


def _environment(key: str, *default: Any) -> Any:
    """The resolver `oc.env`; while values are masked, it gives its own words instead of a variable's."""
    return f"${{oc.env:{key}}}" if _hiding.get() and (key in os.environ or not default) else oc.env(key, *default)


def _leaves(node: Any) -> Any:
    """A node as `OmegaConf.to_container` would resolve it; `_UNKNOWN` where that is an error."""
    if isinstance(node, DictConfig):
        return {key: _leaf(node, key) for key in node}
    return [_leaf(node, at) for at in range(len(node))] if isinstance(node, ListConfig) else node


def _leaf(node: Any, key: Any) -> Any:
    try:
        return "???" if OmegaConf.is_missing(node, key) else _leaves(node[key])
    except (OmegaConfBaseException, TypeError, ValueError):  # a resolver may raise what it likes
        return _UNKNOWN


def _chosen(key: str, value: Any, told: Any) -> Any:
    """What is written of a value, given what is left of it without the environment."""
    if isinstance(value, Mapping) and isinstance(told, Mapping):
        return {name: _chosen(str(name), part, told.get(name, _UNKNOWN)) for name, part in value.items()}
    if isinstance(value, list) and isinstance(told, list) and len(value) == len(told):
        return [_chosen(key, part, other) for part, other in zip(value, told, strict=True)]
    if isinstance(value, (str, list, Mapping)):
        return without_secrets(key, told) if isinstance(told, str) else MASK
    return value
