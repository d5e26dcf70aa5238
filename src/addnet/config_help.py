"""The composed config as `--help` shows it, with the comments from its YAML files."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from omegaconf import OmegaConf

from addnet.commands import COMMANDS, opening
from addnet.config import compose_with_choices, config_dir, files_of

_WIDEST, _NARROWEST = 120, 60  # columns
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one needs libyaml
REQUIRED = "???"  # the value of a required key, as in OmegaConf
_COMMENTS_AT = 36  # the last column at which comments may start


@dataclass
class Comments:
    """The comments of a YAML file, by dotted key.

    Attributes:
        header: The comment above the first key.
        beside: Comments after a key, with the lines that continue them.
        above: Comments on the lines directly above a key.
    """

    header: str = ""
    beside: dict[str, str] = field(default_factory=dict)
    above: dict[str, str] = field(default_factory=dict)

    def under(self, prefix: str) -> Comments:
        """Returns the same comments for keys nested below another key."""
        below = [{f"{prefix}.{key}": text for key, text in part.items()} for part in (self.beside, self.above)]
        return Comments("", {prefix: self.header, **below[0]} if self.header else below[0], below[1])

    def update(self, later: Comments) -> None:
        """Adds the comments of a later file, which take precedence."""
        self.header = later.header or self.header
        self.beside |= later.beside
        self.above |= later.above


def help_text(name: str, overrides: Sequence[str] = ()) -> str:
    """Returns the help of a command: purpose, examples, groups with their files, and the config with its comments.

    Hydra's own help loads every file of every group in order to list them, and takes four times as long.

    Args:
        name: Name of the command, such as `data check`.
        overrides: The other arguments; the config is shown with them.

    Raises:
        hydra.errors.HydraException: The overrides don't compose a config.
    """
    said = COMMANDS[name]
    cfg, choices = compose_with_choices(overrides, config_name=said.config)
    comments = comments_of(said.config, choices)
    shown = _parts(OmegaConf.to_container(cfg, resolve=False), said.shown)
    shown = dict(sorted(shown.items(), key=lambda item: item[0] in choices))  # the command's own keys first
    width = min(max(shutil.get_terminal_size((100, 24)).columns, _NARROWEST), _WIDEST)
    groups = [group for group in sorted(choices) if group in shown or (not said.shown and group != "local")]
    listed = [line for group in groups for line in _listed(group, choices[group], width)]
    lines = [
        opening(name),
        *(["Groups: GROUP=FILE selects another file; add --help to show its keys", *listed, ""] if listed else []),
        "Config: KEY=VALUE sets another value, as in optimizer.lr=1e-3" if "optimizer" in shown else "Config:",
        *_rendered(shown, comments, width=width),
        "",
        *_closing(name),
    ]
    return "\n".join(lines) + "\n"


class Setting(NamedTuple):
    """A key of a YAML file.

    Attributes:
        key: The key as it is typed, such as `optimizer.lr`.
        default: Its value as YAML on one line; empty for a key with nested keys.
        comment: The comment after it, in this file or in one from its defaults list.
        above: The comment on the lines directly above it, which often applies to the following keys too.
    """

    key: str
    default: str
    comment: str
    above: str


class SettingsFile(NamedTuple):
    """A YAML file of `configs/`.

    Attributes:
        header: The comment at its start.
        takes: Its defaults list: files of its own group and of other groups, such as `folder`, `model=timm`.
        settings: Its own keys; keys with nested keys only if they have a comment.
    """

    header: str
    takes: tuple[str, ...]
    settings: tuple[Setting, ...]


def settings_in(group: str, choice: str) -> SettingsFile:
    """Reads the keys that a config file sets, with their comments, except `_target_`.

    Args:
        group: Group of the file; empty: a file in `configs/` itself, which a command reads.
        choice: Name of the file, as used in overrides.

    Example:
        >>> settings_in("optimizer", "adam").settings[1]
        Setting(key='optimizer.lr', default='1e-4', comment='learning rate', above='')
    """
    text = Path(config_dir(), group, f"{choice}.yaml").read_text(encoding="utf-8")
    own = parsed(text)
    elsewhere = "@package" in text
    comments = own if elsewhere else _of_group(group, choice)
    prefix = "" if elsewhere or not group else f"{group}."
    content = yaml.load(text, Loader=_LOADER) or {}
    takes = tuple(_taken(content.pop("defaults", [])))
    root = yaml.compose(text, Loader=_LOADER)
    pairs = _pairs(root) if isinstance(root, yaml.MappingNode) else ()
    inline = {name for name, _, value in pairs if isinstance(value, yaml.MappingNode) and value.flow_style}
    header = re.sub(r"^@package \S+ ?", "", own.header)
    return SettingsFile(header, takes, tuple(_settings(content, comments, prefix, inline=inline)))


def _taken(defaults: Sequence[Any]) -> Iterator[str]:
    for entry in defaults:
        if isinstance(entry, Mapping):
            for group, choice in entry.items():
                if choice is not None and not group.startswith("optional "):
                    yield f"{group.split()[-1].strip('/')}={choice}"
        elif entry != "_self_":
            yield entry


def _settings(
    node: Mapping[Any, Any], comments: Comments, prefix: str, *, inline: Collection[str], path: str = ""
) -> Iterator[Setting]:
    for key, value in node.items():
        name = f"{path}{key}"
        if str(key).startswith("_"):
            continue
        comment, above = comments.beside.get(name, ""), comments.above.get(name, "")
        if not _is_block(value) or name in inline:
            yield Setting(prefix + name, _flow(value), comment, above)
            continue
        if comment or above:
            yield Setting(prefix + name, "", comment, above)
        yield from _settings(value, comments, prefix, inline=inline, path=f"{name}.")


def _parts(cfg: Any, wanted: Sequence[str]) -> dict[str, Any]:
    """Returns the given keys of a config, such as `data` and `data.image_size`; all keys if none are given."""
    if not wanted:
        return dict(cfg)
    shown: dict[str, Any] = {}
    for name in wanted:
        part, _, key = name.partition(".")
        shown[part] = {key: cfg[part][key]} if key else cfg[part]
    return shown


def _closing(name: str) -> Iterator[str]:
    if COMMANDS[name].hydra:
        yield "--cfg job or --print-config shows only the config, as YAML; --hydra-help shows Hydra's other options."
    if COMMANDS[name].sweeps:
        yield "-m runs one job per value: -m seed=0,1,2; --resume FOLDER continues a sweep."


def own_values(config_name: str) -> dict[str, Any]:
    """Reads the values in the YAML file of a config itself, without those in its defaults list."""
    text = Path(config_dir(), f"{config_name}.yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=_LOADER))


def comments_of(config_name: str, choices: Mapping[str, str | None]) -> Comments:
    """Collects the comments of a composed config by dotted key.

    Args:
        config_name: The primary config, a file in `configs/`.
        choices: The file chosen in each group.
    """
    merged = Comments()
    for group, choice in choices.items():
        if choice and "/" not in group:
            merged.update(_of_group(group, choice).under(group))
    merged.update(_of_group("", config_name))
    return merged


def _of_group(group: str, choice: str) -> Comments:
    """Collects the comments of a file and of those in its defaults list."""
    file = Path(config_dir(), group, f"{choice}.yaml")
    if not file.is_file():
        return Comments()
    text = file.read_text(encoding="utf-8")
    if "@package" in text:  # it sets keys of other groups
        return Comments()
    merged = Comments()
    for entry in (yaml.load(text, Loader=_LOADER) or {}).get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            merged.update(_of_group(group, entry))
    merged.update(parsed(text))
    return merged


def parsed(text: str) -> Comments:
    r"""Reads the comments of a YAML file.

    Example:
        >>> parsed("# what it is\na:\n  b: 1  # why\n        # and how\n").beside
        {'a.b': 'why and how'}
    """
    lines = text.splitlines()
    found = Comments()
    root = yaml.compose(text, Loader=_LOADER)
    if not isinstance(root, yaml.MappingNode):
        return found
    first = root.start_mark.line
    found.header = _joined(lines[:first])
    for key, node, value in _pairs(root):
        start, column = node.start_mark.line, node.start_mark.column
        # end: the line on which the value ends, where its comment is; for block values, the line of the key
        end = start if isinstance(value, yaml.MappingNode) and not value.flow_style else value.end_mark.line
        end = start if isinstance(value, yaml.SequenceNode) and not value.flow_style else end
        end = start if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">") else end
        # behind: the column after which `#` begins a comment and is not a part of the value
        behind = node.end_mark.column if end == start else 0
        if isinstance(value, yaml.ScalarNode) and value.end_mark.line == start:
            behind = value.end_mark.column
        if comment := re.search(r"(?:^|\s)(#.*)", lines[end][behind:]):
            at = behind + comment.start(1)
            rest = lines[end + 1 :]
            # the comment continues on lines with nothing but a `#` in the same column
            until = next((i for i, line in enumerate(rest) if line.find("#") != at or line[:at].strip()), len(rest))
            found.beside[key] = _joined([comment[1], *rest[:until]])
        above = start
        while above > first and re.match(rf" {{{column}}}#", lines[above - 1]):
            above -= 1
        if above < start:
            found.above[key] = _joined(lines[above:start])
    return found


def _pairs(node: yaml.MappingNode, prefix: str = "") -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key, value
        if isinstance(value, yaml.MappingNode):
            yield from _pairs(value, f"{name}.")


def _joined(lines: Sequence[str]) -> str:
    return " ".join(text for line in lines if (text := line.strip().lstrip("#").strip()))


def _listed(group: str, choice: str | None, width: int) -> list[str]:
    files = files_of(group)
    if not files or files == [choice]:  # there is no choice
        return []
    return textwrap.wrap(f"  {group}: {', '.join(files)}", width, subsequent_indent="    ", break_on_hyphens=False)


def _rendered(node: Mapping[Any, Any], comments: Comments, *, width: int, prefix: str = "") -> Iterator[str]:
    """Formats a part of the config, with its comments in one column."""
    indent = "  " * (prefix.count(".") + 1)
    entries = {key: f"{indent}{key}:{'' if _is_block(value) else ' ' + _flow(value)}" for key, value in node.items()}
    lengths = [len(line) for key, line in entries.items() if f"{prefix}{key}" in comments.beside]
    column = min(max(lengths, default=0) + 2, _COMMENTS_AT)
    for key, value in node.items():
        name = f"{prefix}{key}"
        if name in comments.above:
            yield from textwrap.wrap(
                comments.above[name], width, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
            )
        told = ("required: " if value == REQUIRED else "") + comments.beside.get(name, "")
        yield from _commented(entries[key], told, column=column, width=width)
        if _is_block(value):
            yield from _rendered(value, comments, width=width, prefix=f"{name}.")


def _commented(line: str, comment: str, *, column: int, width: int) -> list[str]:
    if not comment:
        return [line]
    wrapped = textwrap.wrap(comment, width - column - 2, break_on_hyphens=False, break_long_words=False)
    fits = len(line) < column
    first = [f"{line.ljust(column)}# {wrapped[0]}"] if fits else [line]
    return first + [f"{' ' * column}# {text}" for text in (wrapped[1:] if fits else wrapped)]


def _is_block(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _flow(value: Any) -> str:
    """Formats a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return str(text).removesuffix("...\n").strip()
