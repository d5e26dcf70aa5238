"""What is typed on a command line → overrides as Hydra's grammar wants them: paths in quotes, `~` expanded."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# keys whose values are paths, in every config: there a text that Hydra can't read can mean nothing else
_PATH = re.compile(
    r"(^|\.)(ckpt|ckpt_path|input|output|out|root|originals|weights|index|dir|dirpath|leave_out|card|measured|case)$"
    r"|^likelihood$|_(dir|root|model)$"
)
TAKING = (  # options of Hydra and of the commands that take the word behind them
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    *("--info", "-i", "--resume"),
)
_PRINTING = re.compile(r"--print[-_]config(=\w+)?")  # as LightningCLI has it
_ALONE = ("-m", "--multirun", "--run", "-r", "--resolve")
_DATA_SETS = ("data.train", "data.val", "data.test")  # lists of NAME:PATH
_OVERRIDE = re.compile(r"(\+{0,2})([A-Za-z_$][\w./@:$-]*)=(.*)", re.DOTALL)
_UNREADABLE = object()


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's options, and all else: its parser reads overrides behind an option only where none stands in front of it.

    `--print-config` and `--print_config` are other names of `--cfg job`. What stands behind `--` are files.

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
    r"""A string as a value in Hydra's grammar, whatever it contains.

    Example:
        >>> print(quoted("a=1,b=it's"))
        'a=1,b=it\'s'
    """
    # interpolations are live unless escaped, and so are the backslashes in front of one
    escaped = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", text)
    # Hydra takes backslashes as they are, except in front of a quote
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), escaped)
    return f"'{escaped}'"


def to_type(key: str, text: str) -> str:
    r"""What to type in a shell to give a key a text, whatever the text contains.

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
    """A path with `~` and `~user` expanded, also behind the name of a data set; any other text as it is.

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
    """An argument of a command as Hydra has to get it.

    A value that names what exists is put into quotes where Hydra would read it as something else or not at all. So is
    one of a key that takes a path, though nothing is there, where Hydra couldn't read it. Lists and the values of a
    sweep are looked at one by one. All else stays as it was typed; doing it twice changes nothing.

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
    """Key and text of an override whose value Hydra's grammar can't read; None for all others."""
    found = _OVERRIDE.fullmatch(argument)
    return (found[2], found[3]) if found and _read(found[3]) is _UNREADABLE else None


def sweeps(argument: str) -> tuple[str, str] | None:
    """Key and text of an override that names several values for a sweep; None for all others."""
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
    if text.startswith("{") and text.endswith("}"):  # names and their paths
        pairs = [part.partition(":") for part in _parts(text[1:-1])]
        named = (f"{name.strip()}: {_part(key, path.strip(), force=force)}" for name, _, path in pairs)
        return "{" + ", ".join(named) + "}" if all(path for *_, path in pairs) else text
    parts = list(_parts(text))
    if len(parts) > 1 and any(map(exists, parts)):  # of a sweep
        return ",".join(_element(key, part, force=force) for part in parts)
    return _element(key, text, force=force)


def _part(key: str, text: str, *, force: bool) -> str:
    """What a list or a mapping holds: one value, or a list or a mapping of them."""
    return _value(key, text) if _nested(text) else _element(key, text, force=force)


def _nested(text: str) -> bool:
    return text[:1] + text[-1:] in ("[]", "{}")


def _element(key: str, text: str, *, force: bool) -> str:
    """One value; with `force` it is quoted if Hydra can't read it."""
    home = at_home(text)
    if _wanted(key, text) or (_read(text) == text and home != text):
        return quoted(home)
    literal = force and _read(text) is _UNREADABLE and not text.startswith(("'", '"', "{", "["))
    return quoted(home) if literal else text


def _wanted(key: str, text: str) -> bool:
    """Whether a value names what exists and Hydra would take it for something else."""
    read = _read(text)
    if read is None or isinstance(read, bool) or text.startswith(("'", '"')):
        return False
    if read == text and "${" not in text and not text.endswith("\\"):  # which would escape what follows it in a list
        return False
    return (read is _UNREADABLE or takes_path(key)) and exists(text)


def _parts(text: str) -> Iterator[str]:
    """Values between commas; those that name a file together, because its name has commas, stay together."""
    pieces = _whole(re.findall(r"""\s*(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*(?=,|$)|[^,]+""", text))
    start = 0
    while start < len(pieces):
        ends = range(len(pieces), start + 1, -1)
        end = next((end for end in ends if exists(",".join(pieces[start:end]).strip())), start + 1)
        yield ",".join(pieces[start:end]).strip()
        start = end


def _whole(pieces: list[str]) -> list[str]:
    """Pieces between commas, those of a list or a mapping that stands among them put together again."""
    found: list[str] = []
    for piece in pieces:
        opened = re.match(r"\s*(?:\w+:\s*)?([\[{])", found[-1]) if found else None
        if opened and found[-1].count(opened[1]) > found[-1].count("]" if opened[1] == "[" else "}"):
            found[-1] += f",{piece}"
        else:
            found.append(piece)
    return found


def takes_path(key: str) -> bool:
    """Whether the value of a key is a path, or a list of data sets as they lie on the disk."""
    return key in _DATA_SETS or bool(_PATH.search(key))


def exists(text: str) -> bool:
    """Whether a text names a file or folder, alone or behind the name of a data set."""
    path = at_home(text)
    try:
        return bool(path) and (Path(path).exists() or Path(re.sub(r"^\w+:\s*", "", path)).exists())
    except OSError:  # a name that is too long for any file
        return False


@lru_cache(maxsize=1024)
def _read(text: str) -> Any:
    """What Hydra makes of a value; `_UNREADABLE` where that is an error."""
    try:
        return OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException:
        return _UNREADABLE
