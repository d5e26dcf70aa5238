"""Removes secrets, home folders and local paths from files to pass on: checkpoints, exports, cards, reports."""

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
    """Resolves a config node to dicts, lists and scalars without the texts of environment variables.

    A text that contains `${oc.env:NAME}` keeps this reference unresolved, also where other keys refer to it; numbers
    and switches can't be secrets and are resolved. The values of keys named `…password`, `…token` and the like, and
    logins in URLs, are masked in any case.

    Args:
        node: A config or a part of one.

    Example:
        >>> os.environ["ADDNET_SETS"] = "/srv"
        >>> masked(OmegaConf.create({"folder": "${oc.env:ADDNET_SETS}/faces", "same": "${folder}", "api_key": "a1"}))
        {'folder': '${oc.env:ADDNET_SETS}/faces', 'same': '${oc.env:ADDNET_SETS}/faces', 'api_key': '***'}
    """
    resolved = OmegaConf.to_container(node, resolve=True)
    with environment_by_name():
        unresolved = _leaves(node)
    return _chosen("", resolved, unresolved)


@contextmanager
def environment_by_name() -> Iterator[None]:
    """Makes `${oc.env:NAME}` resolve to itself inside the block, if the variable is set or there is no default.

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
    """Masks passwords in a text.

    Args:
        key: The key whose value it is, such as `logger.comet.api_key`.
        text: The text as it would be written.

    Example:
        >>> without_secrets("tracking_uri", "https://me:pass@server/x")
        'https://***@server/x'
    """
    return MASK if text and _SECRET.search(key) else _LOGIN.sub(rf"\1{MASK}@", text)


def without_home(text: str) -> str:
    """Replaces the user's home folder in a text by `~`."""
    home = str(Path.home())
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text) if len(home) > 1 else text


def relative(path: str | Path, run: Path) -> str:
    """Returns a path relative to a run folder, or as `~/…` if it is in the home folder and the run folder isn't.

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
    """Returns a command as it was typed, without the paths of interpreter, script and home folder or any passwords.

    Args:
        form: The start of the command, from `addnet.launch.command_form`.
        arguments: The arguments that follow.

    Example:
        >>> shown_command(["/opt/env/bin/python", "-m", "addnet.train"], ["seed=1", "logger.comet.api_key=abc"])
        "python -m addnet.train seed=1 'logger.comet.api_key=***'"
    """
    program = form[1:] if "-m" in form[1:2] else [Path(word).name for word in form[1:]]
    return shlex.join(["python", *program, *map(_argument, arguments)])


def _argument(text: str) -> str:
    match = _ARGUMENT.fullmatch(text)
    return without_home(f"{match[1]}={without_secrets(match[1], match[2])}" if match else text)


def _environment(key: str, *default: Any) -> Any:
    """Implements the resolver `oc.env`; while values are masked, it returns the reference itself."""
    return f"${{oc.env:{key}}}" if _hiding.get() and (key in os.environ or not default) else oc.env(key, *default)


def _leaves(node: Any) -> Any:
    """Resolves a node like `OmegaConf.to_container`, with `_UNKNOWN` for values that can't be resolved."""
    if isinstance(node, DictConfig):
        return {key: _leaf(node, key) for key in node}
    return [_leaf(node, at) for at in range(len(node))] if isinstance(node, ListConfig) else node


def _leaf(node: Any, key: Any) -> Any:
    try:
        return "???" if OmegaConf.is_missing(node, key) else _leaves(node[key])
    except (OmegaConfBaseException, TypeError, ValueError):  # a resolver may raise anything
        return _UNKNOWN


def _chosen(key: str, value: Any, unresolved: Any) -> Any:
    """Returns what may be written of a resolved value, given the same value without the environment."""
    if isinstance(value, Mapping) and isinstance(unresolved, Mapping):
        return {name: _chosen(str(name), part, unresolved.get(name, _UNKNOWN)) for name, part in value.items()}
    if isinstance(value, list) and isinstance(unresolved, list) and len(value) == len(unresolved):
        return [_chosen(key, part, other) for part, other in zip(value, unresolved, strict=True)]
    if isinstance(value, (str, list, Mapping)):
        return without_secrets(key, unresolved) if isinstance(unresolved, str) else MASK
    return value
