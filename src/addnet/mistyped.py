"""Errors of Hydra for a command line → what was probably meant, in a line or two, ready to type."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from addnet.commands import COMMANDS, typed_as
from addnet.config import compose, compose_with_choices, config_dir, files_of
from addnet.errors import UserError
from addnet.overrides import TAKING, sweeps, to_type, unreadable

# flags of the original scripts (see the table in the README) → keys here
FLAGS = {
    "data_dir": "data.data_dir",
    "batch_size": "data.batch_size",
    "image_size": "data.image_size",
    "epochs": "trainer.max_epochs",
    "device": "trainer.accelerator",
    "lr": "optimizer.lr",
    "weight_decay": "optimizer.weight_decay",
    "pretrained": "model.pretrained",
    "kernel_size": "model.kernel_size",
    "resume": "ckpt_path",
    "save_dir": "paths.output_dir",
    "project_name": "logger.comet.project",
    "offline": "logger.comet.offline",
}
RENAMED = {
    "pictures": "images",
    "callbacks.bandpass.pictures": "callbacks.bandpass.images",
}  # names of earlier versions
_OURS = ("quiet", "verbose")  # flags of our own commands
_ELSEWHERE = {  # keys that users of Lightning type → what to use here
    "seed_everything": "seed=0",
    "trainer.logger": "logger=csv, logger=[csv,tensorboard] or logger=none",
    "trainer.callbacks": "callbacks=none, callbacks=[best,last] or callbacks.NAME=null",
}
_ELSEWHERE_UNLESS_ADDED = {  # keys that Lightning accepts if added with a +
    "trainer.gpus": "trainer.devices=1 with trainer=gpu",
    "trainer.enable_progress_bar": "callbacks.progress_bar=null",
    "trainer.enable_checkpointing": "callbacks=none, or callbacks.last=null",
    "trainer.resume_from_checkpoint": "ckpt_path=outputs/train/TIME/checkpoints/last.ckpt",
}


def refuse_flags(arguments: Sequence[str], *, command: str = "train") -> None:
    """Raises an error if settings are given as `--key value`, as in the original scripts, and not as `key=value`.

    Raises:
        UserError: The message contains the whole line to type.
    """
    words, flags, seen = list(arguments), [], []
    while words and words[0] != "--":  # file names follow it
        word = words.pop(0)
        name, equal, value = word.removeprefix("--").partition("=")
        value = value if equal else _value_behind(words)
        key = _key_of(name, value, command) if word.startswith("--") and len(word) > 2 else None
        if key is None:
            seen.append(word)
            continue
        if not equal and value:
            words.pop(0)
        flags.append(word)
        seen += _translated(key, value or "true", [*seen, *words])
    if flags:
        seen += words
        raise UserError(
            f"{', '.join(flags)}: write settings as KEY=VALUE, without dashes. Type\n"
            f"  {typed_as(command)} {' '.join(_for_shell(word) for word in seen)}"
        )


def refuse_elsewhere(arguments: Sequence[str], *, command: str = "train") -> None:
    """Raises an error for keys of Lightning that have another name here, and for groups set to true, false or null.

    After a `+`, such keys would be accepted and ignored; such groups would end in a traceback of Hydra.

    Raises:
        UserError: The message says what to type instead.
    """
    for argument in arguments:
        group, _, name = argument.partition("=")
        if name.lower() in ("true", "false", "null") and group.isidentifier() and (there := files_of(group)):
            files = ", ".join(file for file in there if "/" not in file)
            raise UserError(f"{argument}: {group} takes the name of a file: {files}")
        key = group.lstrip("+~")
        known = _ELSEWHERE if argument.startswith("+") else _ELSEWHERE | _ELSEWHERE_UNLESS_ADDED
        if command == "train" and key in known:
            raise UserError(f"{key} is not a setting here; use {known[key]}")


def _value_behind(words: Sequence[str]) -> str:
    """Returns the next word if it can be the value of a flag."""
    follows = bool(words) and not re.match(r"-\D", words[0]) and not re.match(r"[\w.+~]+=", words[0])
    return words[0] if follows else ""


def _key_of(name: str, value: str, command: str) -> str | None:
    """Returns the key that a flag stands for; None if it is a flag of Hydra or of the command, or unknown."""
    name = name.replace("-", "_")
    if name == "resume" and not value.endswith((".ckpt", ".pth", ".pt", ".tar")):
        return None  # it resumes a sweep or a run
    options = {option.lstrip("-").replace("-", "_") for option in get_args_parser()._option_string_actions}
    if name in options or name in _OURS:
        return None
    if command == "train" and name in FLAGS:
        return FLAGS[name]
    known = _dotted(OmegaConf.to_container(compose(config_name=COMMANDS[command].config), resolve=False))
    ending = [key for key in known if key == name or key.endswith(f".{name}")]
    return name if name in known else min(ending, key=len, default=None)


def _translated(key: str, value: str, others: Sequence[str]) -> list[str]:
    if key == "trainer.accelerator":
        kind, _, number = value.partition(":")
        devices = [f"trainer.devices=[{number}]"] if number else []
        return [f"{key}={'gpu' if kind == 'cuda' else kind}", *devices]
    network = key == "model.kernel_size" and not any(word.startswith("model=") for word in others)
    return [*(["model=bandpass"] if network else []), f"{key}={value}"]


def _for_shell(word: str) -> str:
    key, equal, text = word.partition("=")
    return to_type(key, text) if equal and unreadable(word) else shlex.quote(word)


def refuse_options(arguments: Sequence[str], *, command: str = "train") -> None:
    """Raises an error for unknown options, and for `-m` with a command that has no sweeps.

    Raises:
        UserError: The message names the option.
    """
    typed, unknown = get_args_parser().parse_known_args(list(arguments))
    if unknown:
        raise UserError(f"{unknown[0]} is not an option; settings are KEY=VALUE, {typed_as(command)} --help lists them")
    of_others = {
        said.config: name for name, said in reversed(COMMANDS.items()) if said.config != COMMANDS[command].config
    }
    if typed.config_name in of_others:
        other = typed_as(of_others[typed.config_name])
        raise UserError(f"--config-name={typed.config_name} is the config of another command; use {other}")
    if not COMMANDS[command].sweeps and (typed.multirun or "hydra.mode=MULTIRUN" in arguments):
        able = ", ".join(typed_as(name) for name, said in COMMANDS.items() if said.sweeps)
        raise UserError(f"-m works only with {able}; start {typed_as(command)} once for each value")


def answer(error: Exception, arguments: Sequence[str], *, command: str = "train") -> str:
    """Returns the message for an error of Hydra: what was probably meant, or else Hydra's message without its folders.

    Args:
        error: The error that Hydra raised.
        arguments: Arguments of the command.
        command: Name of the command, such as `data check`.
    """
    if ours := _of_a_resolver(error):
        return f"{ours}\n"
    said = [*_unreadable(arguments), *_wrong_files(arguments), *_several(arguments, command)]
    text = "".join(f"{line}\n" for line in said) + suggestions(arguments, config_name=COMMANDS[command].config)
    if text:
        return text
    reason = str(error).split("\nConfig search path:")[0].strip()
    cause = error.__cause__
    return f"{reason}\n{cause}\n" if cause is not None and str(cause) not in reason else f"{reason}\n"


def _of_a_resolver(error: BaseException | None) -> UserError | None:
    """Returns the `UserError` of our own resolver, which OmegaConf and Hydra wrap; None if there is none."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _unreadable(arguments: Sequence[str]) -> Iterator[str]:
    for before, argument in pairwise(["", *arguments]):
        if before in TAKING:
            continue
        if found := unreadable(argument):
            yield f"{argument} contains characters that have a meaning in Hydra; to use them literally, type"
            yield f"  {to_type(*found)}"
        elif not re.match(r"[-~]|[^=]+=", argument):
            yield f"{argument!r} is neither KEY=VALUE nor an option"


def _several(arguments: Sequence[str], command: str) -> Iterator[str]:
    if {"-m", "--multirun"} & set(arguments):
        return
    for argument in arguments:
        if found := sweeps(argument):
            key, text = found
            ways = [f"{to_type(key, text)} for one text", f"'{key}=[{text}]' for a list"]
            ways += ["-m in front for a sweep"] if COMMANDS[command].sweeps else []
            yield f"{argument} names several values: {', '.join(ways)}"


def _wrong_files(arguments: Sequence[str]) -> Iterator[str]:
    for group, name in _chosen(arguments):
        there = files_of(group)
        folder, _, stem = name.rpartition("/")
        beside = [file for file in there if file.rpartition("/")[0] == folder]
        if name not in there and beside and re.fullmatch(r"[\w.-]+", stem):
            near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
            meant = f"; did you mean {group}={near[0]}?" if near else "."
            yield f"{group}={name}: there is no such file{meant} Available: {', '.join(beside)}"


def _chosen(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the groups and files that arguments select, such as `("data", "celebdf")`."""
    for argument in arguments:
        group, equal, name = argument.lstrip("+").partition("=")
        if equal and group.isidentifier() and Path(config_dir(), group).is_dir() and name not in ("", "null"):
            yield group, name


def suggestions(arguments: Sequence[str], *, config_name: str = "train") -> str:
    """Suggests keys for mistyped ones.

    Args:
        arguments: Arguments of the command, such as `["optimizer.lrr=1"]`.
        config_name: The file in `configs/` that the command reads.

    Returns:
        A line for each override whose key isn't in the config; empty if there is none.
    """
    typed = [argument for argument in arguments if re.match(r"~?[A-Za-z_][\w./]*(=|$)", argument) and "=" in argument]
    keys = {argument.lstrip("~").split("=")[0] for argument in typed}
    known = known_keys(arguments, config_name=config_name)
    lines = []
    for key in sorted(keys):
        if key.startswith(("hydra.", "hydra/")) or (key in known and known[key] is None):
            continue
        if key in known:
            lines.append(f"{key!r} exists only{_where(known[key])}")
            continue
        if new := _renamed(key):
            lines.append(f"{key!r} is now called {new!r}")
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
        near = near or [k for k in known if k.split(".")[-1] == key.split(".")[-1]][:3]
        named = " or ".join(f"{name}{_where(known[name])}" for name in near)
        lines.append(f"{key!r} is not a known key; " + (f"did you mean {named}?" if near else "--help lists them"))
    return "".join(f"{line}\n" for line in lines)


def _renamed(key: str) -> str:
    """Returns the present name of a key of an earlier version; empty if it isn't one."""
    old = next((old for old in RENAMED if key == old or key.startswith(f"{old}.")), None)
    return RENAMED[old] + key.removeprefix(old) if old else ""


def known_keys(arguments: Sequence[str] = (), *, config_name: str = "train") -> dict[str, str | None]:
    """Returns all known dotted keys: None for keys of the chosen config, `GROUP=FILE` for those of another file only.

    Args:
        arguments: Arguments of the command; those that select files of groups count, such as `data=celebdf`.
        config_name: The file in `configs/` that has the defaults.
    """
    chosen = [f"{group}={name}" for group, name in _chosen(arguments)]
    try:
        base, choices = compose_with_choices(chosen, config_name=config_name)
    except HydraException:  # a file name is mistyped too
        base, choices = compose_with_choices(config_name=config_name)
    keys: dict[str, str | None] = dict.fromkeys(_dotted(OmegaConf.to_container(base, resolve=False)))
    files = sorted(Path(config_dir()).glob("*/*.yaml"))
    for file in sorted(files, key=lambda file: f"{file.parent.name}={file.stem}" not in chosen):
        group = file.parent.name
        if group not in choices or group == "local":
            continue
        keys.setdefault(group, None)
        text = file.read_text(encoding="utf-8")
        if "@package" in text:
            continue
        for key in _dotted(OmegaConf.to_container(OmegaConf.load(file), resolve=False)):
            if not key.startswith("defaults"):
                keys.setdefault(f"{group}.{key}", f"{group}={file.stem}")
    return keys


def _dotted(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, Mapping):
        return []
    found = []
    for key, value in node.items():
        found.append(f"{prefix}{key}")
        found += _dotted(value, f"{prefix}{key}.")
    return found


def _where(file: str | None) -> str:
    return f" (with {file})" if file else ""
