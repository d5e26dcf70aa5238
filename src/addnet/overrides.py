"""Converts arguments as typed to overrides in Hydra's grammar: paths in quotes, `~` expanded."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# keys whose values are paths, in every config: a text that Hydra can't parse there must be a path
_PATH = re.compile(
    r"(^|\.)(ckpt|ckpt_path|input|output|out|root|originals|weights|index|dir|dirpath|leave_out|card|measured|case)$"
    r"|^likelihood$|_(dir|root|model)$"
)
TAKING = (  # options of Hydra and of the commands that take the next word as their value
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    *("--info", "-i", "--resume"),
)
_PRINTING = re.compile(r"--print[-_]config(=\w+)?")  # as in LightningCLI
_ALONE = ("-m", "--multirun", "--run", "-r", "--resolve")
_DATA_SETS = ("data.train", "data.val", "data.test")  # lists of NAME:PATH
_OVERRIDE = re.compile(r"(\+{0,2})([A-Za-z_$][\w./@:$-]*)=(.*)", re.DOTALL)
_UNREADABLE = object()


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separates Hydra's options from the other arguments: its parser needs all options before the first override.

    `--print-config` and `--print_config` are other names for `--cfg job`. Arguments after `--` are files.

    Example:
        >>> split_options(["seed=0,1", "-m", "lr=1", "--print_config"])
        (['-m', '--cfg', 'job'], ['seed=0,1', 'lr=1'])
    """
    words, options, others = list(arguments), [], []
    while words and words[0] != "--":
        word = words.pop(0)
        if _PRINTING.fullmatch(word):
            options += ["--cfg", "job"]
        elif word in TAKING:
            options += [word, *words[:1]]
            del words[:1]
        elif word in _ALONE or word.partition("=")[0] in TAKING:
            options.append(word)
        else:
            others.append(word)
    return options, [*others, *words]


def quoted(text: str) -> str:
    r"""Quotes any string as a value in Hydra's grammar.

    Example:
        >>> print(quoted("a=1,b=it's"))
        'a=1,b=it\'s'
    """
    # interpolations must be escaped, and so must backslashes before one
    escaped = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", text)
    # Hydra takes backslashes literally, except before a quote
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), escaped)
    return f"'{escaped}'"


def to_type(key: str, text: str) -> str:
    r"""Returns what to type in a shell to set a key to any text.

    Example:
        >>> print(to_type("data.group_pattern", r"img_(\d+)"))
        'data.group_pattern="img_(\d+)"'
        >>> print(to_type("task", "first"))
        task=first
    """
    if _read(text) == text and "${" not in text:
        return shlex.quote(f"{key}={text}")
    plain = not re.search(r"""['"]|\$\{|\\$""", text)
    return f"'{key}=\"{text}\"'" if plain else shlex.quote(f"{key}={quoted(text)}")


def at_home(text: str) -> str:
    """Expands `~` and `~user` in a path, also after the name of a data set; returns any other text unchanged.

    Example:
        >>> at_home("faces/~1")
        'faces/~1'
    """
    name, colon, path = text.partition(":~")
    if colon and name.isidentifier():
        return f"{name}:{at_home('~' + path)}"
    if not re.match(r"~[\w.-]*(/|$)", text):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError:  # no such user
        return text


def for_hydra(argument: str) -> str:
    """Converts an argument of a command to the form that Hydra needs.

    The name of an existing file or folder is quoted if Hydra would misread it or couldn't parse it. The value of a key
    that takes a path is quoted if Hydra couldn't parse it, even if the path doesn't exist. The elements of lists and
    sweeps are handled one by one. Everything else stays as typed, and a second conversion changes nothing.

    Example:
        >>> for_hydra("output=net (1).onnx"), for_hydra("optimizer.lr=1e-4,1e-3")
        ("output='net (1).onnx'", 'optimizer.lr=1e-4,1e-3')
    """
    found = _OVERRIDE.fullmatch(argument)
    if not found:
        return argument
    plus, key, text = found.groups()
    return f"{plus}{key}={_value(key, text)}"


def unreadable(argument: str) -> tuple[str, str] | None:
    """Returns key and text of an override whose value Hydra can't parse; None for all others."""
    found = _OVERRIDE.fullmatch(argument)
    return (found[2], found[3]) if found and _read(found[3]) is _UNREADABLE else None


def sweeps(argument: str) -> tuple[str, str] | None:
    """Returns key and text of an override that lists several values for a sweep; None for all others."""
    found = _OVERRIDE.fullmatch(argument)
    try:
        several = bool(found) and OverridesParser.create().parse_override(argument).is_sweep_override()
    except HydraException:
        return None
    return (found[2], found[3]) if found and several else None


def _value(key: str, text: str) -> str:
    read, is_path = _read(text), takes_path(key)
    if _wanted(key, text) or read == text or (read is not _UNREADABLE and not is_path):
        return _element(key, text, force=False)
    force = is_path and read is _UNREADABLE
    if text.startswith("[") and text.endswith("]"):
        return "[" + ",".join(_part(key, part, force=force) for part in _parts(text[1:-1])) + "]"
    if text.startswith("{") and text.endswith("}"):  # a mapping of names to paths
        pairs = [part.partition(":") for part in _parts(text[1:-1])]
        named = (f"{name.strip()}: {_part(key, path.strip(), force=force)}" for name, _, path in pairs)
        return "{" + ", ".join(named) + "}" if all(path for *_, path in pairs) else text
    parts = list(_parts(text))
    if len(parts) > 1 and any(map(exists, parts)):  # values of a sweep
        return ",".join(_element(key, part, force=force) for part in parts)
    return _element(key, text, force=force)


def _part(key: str, text: str, *, force: bool) -> str:
    """Converts an element of a list or a mapping: a single value, or again a list or a mapping."""
    return _value(key, text) if _nested(text) else _element(key, text, force=force)


def _nested(text: str) -> bool:
    return text[:1] + text[-1:] in ("[]", "{}")


def _element(key: str, text: str, *, force: bool) -> str:
    """Converts a single value; with `force` it is quoted if Hydra can't parse it."""
    home = at_home(text)
    if _wanted(key, text) or (_read(text) == text and home != text):
        return quoted(home)
    literal = force and _read(text) is _UNREADABLE and not text.startswith(("'", '"', "{", "["))
    return quoted(home) if literal else text


def _wanted(key: str, text: str) -> bool:
    """Returns whether a value names an existing path that Hydra would misread."""
    read = _read(text)
    if read is None or isinstance(read, bool) or text.startswith(("'", '"')):
        return False
    if (
        read == text and "${" not in text and not text.endswith("\\")
    ):  # a final backslash would escape what follows it in a list
        return False
    return (read is _UNREADABLE or takes_path(key)) and exists(text)


def _parts(text: str) -> Iterator[str]:
    """Splits a text at commas, except at those inside the name of an existing file."""
    pieces = _whole(re.findall(r"""\s*(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*(?=,|$)|[^,]+""", text))
    start = 0
    while start < len(pieces):
        ends = range(len(pieces), start + 1, -1)
        end = next((end for end in ends if exists(",".join(pieces[start:end]).strip())), start + 1)
        yield ",".join(pieces[start:end]).strip()
        start = end


def _whole(pieces: list[str]) -> list[str]:
    """Joins the pieces between commas that belong to a nested list or mapping."""
    found: list[str] = []
    for piece in pieces:
        opened = re.match(r"\s*(?:\w+:\s*)?([\[{])", found[-1]) if found else None
        if opened and found[-1].count(opened[1]) > found[-1].count("]" if opened[1] == "[" else "}"):
            found[-1] += f",{piece}"
        else:
            found.append(piece)
    return found


def takes_path(key: str) -> bool:
    """Returns whether the value of a key is a path, or a list of data sets with their paths."""
    return key in _DATA_SETS or bool(_PATH.search(key))


def exists(text: str) -> bool:
    """Returns whether a text names an existing file or folder, with or without the name of a data set before it."""
    path = at_home(text)
    try:
        return bool(path) and (Path(path).exists() or Path(re.sub(r"^\w+:\s*", "", path)).exists())
    except OSError:  # too long for a file name
        return False


@lru_cache(maxsize=1024)
def _read(text: str) -> Any:
    """Returns a value as Hydra parses it; `_UNREADABLE` if that fails."""
    try:
        return OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException:
        return _UNREADABLE
