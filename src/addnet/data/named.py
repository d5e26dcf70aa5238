"""The data sets that a config names to train on, to choose checkpoints on, and to test on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from addnet.data.entries import TABLES, entry_options
from addnet.data.layouts import LAYOUTS
from addnet.data.sources import INDEX, INDEX_NAME, KINDS, SPLITS, Source, option_defaults, said_options
from addnet.errors import UserError, require_choice
from addnet.untrusted.texts import shown

PATTERNS = ("group_pattern", "video_pattern")
_ANY = "folder"  # the layout of a config that names none


class ChosenSources(NamedTuple):
    """Data sets by purpose; one with several purposes is the same object in each list.

    Attributes:
        train: Data sets to train on.
        val: Data sets to choose checkpoints and thresholds on; None: those that are trained on.
        test: Data sets to test on.
    """

    train: list[Source]
    val: list[Source] | None
    test: list[Source]

    @property
    def sources(self) -> list[Source]:
        """All data sets, each once."""
        return list(dict.fromkeys([*self.train, *(self.val or []), *self.test]))


def configured(data: Mapping[str, Any], **more: Any) -> ChosenSources:
    """The data sets of a `data` node.

    Args:
        data: The node, as plain values.
        more: Other attributes of `Source`.

    Raises:
        UserError: No data set is named, or `chosen_sources` raises.
    """
    folders = {"index_dir": data["index_dir"], "faces_dir": data["faces_dir"]} | more
    keys = ("layout", "options", *SPLITS, "index", *PATTERNS)
    chosen = chosen_sources(data["data_dir"], **{key: data[key] for key in keys}, **folders)
    if not chosen.sources:
        Source(data["layout"], data["data_dir"], data["index"])  # raises and says what is missing
    return chosen


def chosen_sources(
    data_dir: str | None,
    *,
    layout: str,
    options: Mapping[str, Any] | None = None,
    train: Sequence[Any] | None = None,
    val: Sequence[Any] | None = None,
    test: Sequence[Any] | None = None,
    index: str | None = None,
    group_pattern: str | None = None,
    video_pattern: str | None = None,
    only_test: bool = False,
    no_test: bool = False,
    **folders: Any,
) -> ChosenSources:
    """The data sets to train on, to choose checkpoints on and to test on.

    A data set that is named twice, in whatever form, becomes one object. Options and patterns apply to the data set in
    `data_dir` and to those that are named: to those of `layout`, or, if that is `folder` or has no such option, to all
    that have the option. Options in an entry take precedence.

    Args:
        data_dir: The folder to train on, unless `train` names others.
        layout: The layout of that folder.
        options: Options of the layout.
        train: Data sets to train on; see `source_of`.
        val: Data sets to choose checkpoints and thresholds on; default: those trained on.
        test: Data sets to test on; default: those trained on.
        index: The index of `data_dir`.
        group_pattern: Pattern for groups, an option of the folder layout.
        video_pattern: Pattern for videos, an option of the folder layout.
        only_test: There is no validation, and training data sets are ignored if `test` names others.
        no_test: There is no test.
        folders: Other attributes of `Source`.

    Raises:
        UserError: An entry can't be understood, or an option applies to no data set.
    """
    patterns = {"group_pattern": group_pattern, "video_pattern": video_pattern}
    given = dict(options or {}) | {name: pattern for name, pattern in patterns.items() if pattern}
    if train and not only_test and (name := _first_named(data_dir=data_dir, index=index)):
        raise UserError(
            f"data.{name} has no effect, because data.train names the data sets to train on; add it to data.train or "
            "data.test, or leave it out"
        )
    lists = {
        name: [source_of(entry, key=f"data.{name}", **folders) for entry in _entries(name, value)]
        for name, value in zip(SPLITS, (train, val, test), strict=True)
    }
    named = [source for sources in lists.values() for source in sources]
    unused = bool(train or (only_test and test))
    own = [] if unused or not (data_dir or layout == INDEX) else [Source(layout, data_dir, index, **folders)]
    if own and not named:
        configured_sources = [replace(own[0], options=given)]
    else:  # in an evaluation, unused options of the training data set are not an error
        spare = only_test and bool(data_dir or index)
        configured_sources = _with_options([*own, *named], given, layout, spare=spare)
    once: dict[tuple[str, str], Source] = {}
    # one object for each identity, in the order of own, train, val and test, which the next lines take them from
    same = iter([once.setdefault(source.identity, source) for source in configured_sources])
    own = [next(same) for _ in own]
    lists = {name: list(dict.fromkeys(next(same) for _ in sources)) for name, sources in lists.items()}
    trained = lists["train"] or own
    aims = (() if only_test else SPLITS[:2], () if no_test else SPLITS[2:])
    chosen = ChosenSources(trained, (lists["val"] or None) if not only_test else None, lists["test"] or trained)
    return _with_splits(chosen, *aims)


def _entries(name: str, value: Sequence[Any] | None) -> Sequence[Any]:
    if isinstance(value, str | Mapping):
        raise UserError(
            f"data.{name}={shown(value)} is not a list; put it in brackets, as in data.{name}=[LAYOUT:PATH]"
        )
    return value or []


def _with_splits(chosen: ChosenSources, of_train: tuple[str, ...], of_test: tuple[str, ...]) -> ChosenSources:
    """The same data sets, each with the splits for which it is used."""
    train, val, test = chosen
    own_lists = of_train if val is None else of_train[:1]
    with_splits = {
        source: replace(
            source,
            splits=(of_train if source in (val or []) else own_lists) * (source in train) + of_test * (source in test),
            validates=source in (val or []) and source not in train,
        )
        for source in chosen.sources
    }
    train, tested = ([with_splits[source] for source in sources] for sources in (train, test))
    return ChosenSources(train, None if val is None else [with_splits[source] for source in val], tested)


def _first_named(**values: Any) -> str:
    return next((f"{name}={value}" for name, value in values.items() if value), "")


def _with_options(sources: Sequence[Source], given: Mapping[str, Any], layout: str, *, spare: bool) -> list[Source]:
    """The data sets, each with those of the common options that it has; see `chosen_sources`.

    Raises if no data set has an option. With `spare`, options of `layout` itself are exempt from that.
    """
    shared: list[dict[str, Any]] = [{} for _ in sources]
    for key, value in said_options(layout, given).items():
        having = heeding(key, layout, [source.layout for source in sources])
        if not having and value is not None and not (spare and key in option_defaults(layout)):
            raise UserError(_unheeded(key, value, sources, layout))
        for number in having:
            shared[number][key] = value
    return [
        replace(source, options={**more, **source.options}) if more else source
        for source, more in zip(sources, shared, strict=True)
    ]


def heeding(key: str, layout: str, layouts: Sequence[str]) -> list[int]:
    """The positions of the data sets to which an option of the config applies.

    Args:
        key: The option.
        layout: The layout of the config.
        layouts: The layouts of the data sets.

    Example:
        >>> heeding("compression", "folder", ["faceforensics", "celebdf", "dfd"])
        [0, 2]
        >>> heeding("compression", "dfd", ["faceforensics", "celebdf", "dfd"])
        [2]
    """
    its_own = layout != _ANY and key in option_defaults(layout)
    having = [number for number, name in enumerate(layouts) if key in option_defaults(name)]
    return [number for number in having if layouts[number] == layout] if its_own else having


def _unheeded(key: str, value: Any, sources: Sequence[Source], layout: str) -> str:
    option = f"data.{key}" if key in PATTERNS else f"data.options.{key}"
    layouts = dict.fromkeys(source.layout for source in sources)
    its_own = layout != _ANY and key in option_defaults(layout)
    whose = f"is an option of data={layout}, but" if its_own else "has no effect:"
    has = "; ".join(f"{name} has {', '.join(option_defaults(name)) or 'none'}" for name in layouts)
    which = f"none of the data sets ({', '.join(layouts)}) has it" if has else "no data set is named"
    return f"{option}={value} {whose} {which}; leave it out{f', or use one of theirs: {has}' if has else ''}"


def source_of(entry: Any, *, key: str, **folders: Any) -> Source:
    """The data set that an entry of a list such as `data.train` names.

    Args:
        entry: An index file, a manifest, a prepared folder, `layout:folder`, or a mapping with `layout`, `data_dir`,
            `index` and options of the layout, which may also be under `options`.
        key: The list, for messages.
        folders: Other attributes of `Source`.

    Raises:
        UserError: The entry can't be understood; the message lists the valid forms.
    """
    if isinstance(entry, Mapping):
        return _of_mapping({str(name): value for name, value in entry.items()}, key, folders)
    text = str(entry)
    layout, colon, folder = text.partition(":")
    if colon and layout in LAYOUTS:
        return Source(layout, folder, **folders)
    if text.endswith(".parquet"):
        return Source(INDEX, index=text, **folders)
    if Path(text, INDEX_NAME).is_file():
        return Source(INDEX, index=str(Path(text, INDEX_NAME)), **folders)
    if text.endswith(TABLES):
        return Source("manifest", text, **folders)
    raise UserError(
        f"{key}: {text!r} is not a data set: give an index (FILE.parquet), a folder that `addnet prepare` "
        f"wrote, or layout:folder with one of the layouts {', '.join(LAYOUTS)}"
    )


def _of_mapping(entry: Mapping[str, Any], key: str, folders: Mapping[str, Any]) -> Source:
    """The data set of a mapping; an option may be under `options` or next to it, but not in both places."""
    layout = entry.get("layout") or (INDEX if entry.get("index") else None)
    if layout is None:
        raise UserError(
            f"{key}: {shown(dict(entry))} is not a data set: give layout and data_dir, or index, and options of the "
            "layout"
        )
    require_choice(f"{key}: layout", layout, KINDS)
    if not entry.get("data_dir" if layout != INDEX else "index"):
        lacks = (
            "data_dir, the folder that holds the data"
            if layout != INDEX
            else "index, the file that `addnet prepare` wrote"
        )
        raise UserError(f"{key}: {shown(dict(entry))} lacks {lacks}")
    data_dir, index = (_place(entry.get(name), f"{key}: {name}") for name in ("data_dir", "index"))
    below = entry.get("options") or {}
    if not isinstance(below, Mapping):
        raise UserError(
            f"{key}: options of {layout} are {shown(below)}, which is not a mapping; give one, such as {{NAME: VALUE}}"
        )
    if twice := [name for name in below if name in entry]:
        raise UserError(f"{key}: {layout} has {twice[0]!r} twice, under options and next to it; leave one out")
    try:
        return Source(layout, data_dir, index, entry_options(entry), **folders)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error


def _place(value: Any, key: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UserError(f"{key} is {shown(value)}, which is not a path; give the path of a folder or file")
    return str(value)
