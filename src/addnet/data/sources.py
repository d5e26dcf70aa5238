"""Data sets as a config names them: which layout lies where, and the index that belongs to it."""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from addnet.data.inside import require_inside
from addnet.data.layouts import LAYOUTS, Listing, list_data, options_of
from addnet.errors import UserError, require_choice
from addnet.index.faces import SERVED, FaceIndex
from addnet.index.journal import Journal
from addnet.index.records import Records
from addnet.index.storage import Storage
from addnet.untrusted.texts import oddity, shown
from addnet.wording import count

log = logging.getLogger(__name__)

INDEX = "index"
KINDS = (INDEX, *LAYOUTS)
INDEX_NAME = "index.parquet"
SPLITS = ("train", "val", "test")
_KEYS = ("layout", "data_dir", "index", "options")


@dataclass(frozen=True, eq=False)
class Source:
    """One data set.

    Attributes:
        layout: A name in `LAYOUTS`, or `index`.
        data_dir: Its folder (of `manifest`: the file); with `index`: the folder that its paths are relative to, if it
            isn't the one that the index names.
        index: The index file; None: one of its own in `index_dir`.
        options: Arguments of the layout.
        index_dir: Where indexes of pictures are kept.
        faces_dir: Where faces cut out of videos are kept, with their indexes.
        output: Folder of the faces cut out of its videos; None: one of its own in `faces_dir`.
        splits: What it is used for. What these don't need may be missing, and their videos alone are cut.
    """

    layout: str
    data_dir: str | None = None
    index: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    index_dir: str = "outputs/index"
    faces_dir: str = "outputs/faces"
    output: str | None = None
    splits: tuple[str, ...] = SPLITS

    def __post_init__(self) -> None:
        require_choice("data.layout", self.layout, KINDS)
        if self.layout == INDEX and not self.index:
            raise UserError("data.index is not set: name the file that `python -m addnet.prepare` wrote")
        if self.layout != INDEX and not self.data_dir:
            raise UserError(f"data.data_dir is not set: name the folder that holds the data (data={self.layout})")
        if why := oddity(str(self.data_dir or "")):
            raise UserError(
                f"data.data_dir={shown(self.data_dir)}: the name {why}, so no index can hold it; rename the folder, "
                "or link to it under another name"
            )

    @cached_property
    def found(self) -> Listing:
        """What the layout finds in the folder, complete or not.

        Raises:
            UserError: An option that the layout doesn't have, or what the layout raises.
        """
        options = dict(self.options)
        if "cache_dir" in options_of(LAYOUTS[self.layout]):
            options["cache_dir"] = options.get("cache_dir") or archives_dir(self.index_dir)
        listing = list_data(LAYOUTS, self.layout, str(self.data_dir), options=options)
        return replace(listing, pictures=_below(listing.pictures), videos=_below(listing.videos))

    @cached_property
    def listing(self) -> Listing:
        """What the layout finds in the folder.

        Raises:
            UserError: Something is missing without which nothing is trained, or nothing is there.
        """
        listing = self.found
        missing = [item for item in listing.missing if not item.split or item.split in self.splits]
        lacking = [f"  {item.path}: {item.what}" for item in missing if item.needed]
        if not len(listing.pictures) and not len(listing.videos):
            lacking.append("  neither pictures nor videos that belong to a split")
        if lacking:
            raise UserError(
                f"{self.data_dir} is not complete:\n" + "\n".join(lacking) + "\n`python -m addnet.data check "
                f"data={self.layout} {shlex.quote(f'data.data_dir={self.data_dir}')}` shows what is there"
            )
        for note in listing.notes:
            log.info("%s: %s", self.data_dir, note)
        for doubt in listing.doubts:
            log.warning("%s: doubtful: %s", self.data_dir, doubt)
        for item in missing:
            log.warning("%s: not there: %s, %s", self.data_dir, item.path, item.what)
        if len(listing.pictures) and len(listing.videos):
            log.warning("%s: %s", self.data_dir, left_alone(listing))
        return listing

    def used(self, records: Records) -> Records:
        """Those of its records that its splits are made of; unlabelled ones are always used."""
        unused = pa.array([split for split in SPLITS if split not in self.splits], pa.string())
        return records.take(~pc.is_in(records.table["split"].cast(pa.string()), value_set=unused).to_numpy())

    @property
    def storage(self) -> Storage:
        """Reads its pictures."""
        return Storage(archives_dir(self.index_dir))

    @property
    def from_videos(self) -> bool:
        """Whether faces have to be cut out of videos first."""
        return self.layout != INDEX and not len(self.listing.pictures) and len(self.listing.videos) > 0

    @property
    def index_file(self) -> Path:
        """The file that holds what was found in its pictures."""
        if self.index:
            return Path(self.index)
        if self.from_videos:
            return self.cut_dir / INDEX_NAME
        return Path(self.index_dir, f"{self._own_name}.parquet")

    @property
    def cut_dir(self) -> Path:
        """Folder of the faces that are cut out of its videos."""
        return Path(self.output) if self.output else Path(self.faces_dir, self._own_name)

    @property
    def root(self) -> Path:
        """Folder that the paths of its records are relative to."""
        if self.layout == INDEX:
            return Path(self.data_dir) if self.data_dir else self._opened.root
        return self.cut_dir if self.from_videos else self.data_root

    @property
    def data_root(self) -> Path:
        """Folder that the paths of the data set itself are relative to; of a manifest or list, that of the file."""
        folder = Path(str(self.data_dir))
        return folder.parent if folder.is_file() else folder

    def records(self) -> Records:
        """Its pictures; their `root` is the folder that their paths are relative to.

        Raises:
            UserError: Faces were not cut out of its videos yet.
        """
        if self.layout == INDEX:
            found = self._opened.records()
        elif self.from_videos:  # the index keeps those of videos that have gone, or that no list names any more
            listed = self.listing.videos.paths.cast(pa.string())
            here = pc.is_in(self._opened.rows["source"].cast(pa.string()), value_set=listed)
            found = self._opened.records().take(here.to_numpy())
        else:
            found = self.listing.pictures
        return found.replaced(root=str(self.root))

    @cached_property
    def _opened(self) -> FaceIndex:
        if self.layout == INDEX and (journal := Journal(self.index_file)).file.is_file():
            log.warning(
                "%s is not finished, or is being written: %s lies beside it. What it has is used; "
                "the `python -m addnet.prepare` that began it goes on with the rest",
                self.index_file,
                journal.file.name,
            )
        index = FaceIndex(self.index_file, columns=(*SERVED, "source"))
        if self.layout == INDEX and not self.options.get("outside"):
            require_inside(index, self.data_dir, own=(self.index_dir, self.faces_dir))
        return index

    @property
    def _own_name(self) -> str:
        folder = Path(str(self.data_dir))
        defaults = _defaults(self.layout)
        # options that say what the layout does anyway, as the files in configs/data do, make no other data set
        said = {key: value for key, value in self.options.items() if key != "outside"}  # what is trusted, neither
        chosen = sorted((key, value) for key, value in said.items() if _said(value) != _said(defaults.get(key)))
        settings = f"{folder.resolve()}{self.layout}{chosen if chosen else ''}"
        return f"{folder.name}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def _said(value: Any) -> Any:
    """An option as YAML and as a signature would both give it."""
    return (list(value) if isinstance(value, tuple) else value) or None


def _below(records: Records) -> Records:
    """Records without roots of their own: paths below another root become whole paths."""
    if records.names("root") in ([], [""]):
        return records
    table, names = records.table, records.names("root")
    absolute = [str(Path(name).expanduser().absolute()) if name else "" for name in names]
    roots = pa.chunked_array([pa.array(absolute, pa.large_string()).take(pa.array(records.numbers("root")))])
    for name in ("path", "landmarks"):
        text = table[name]
        whole = pc.binary_join_element_wise(roots, text, pa.scalar("/", pa.large_string()))
        own = pc.or_(pc.equal(roots, ""), pc.equal(text, ""))
        table = table.set_column(table.schema.get_field_index(name), name, pc.if_else(own, text, whole))
    return Records(table).replaced(root="")


def left_alone(listing: Listing) -> str:
    """What becomes of the videos of a data set that has pictures too."""
    return (
        f"{count(len(listing.videos), 'video is', 'videos are')} left alone because there are pictures; where the "
        "layout has data.options.source, videos takes everything from videos"
    )


def archives_dir(index_dir: str | Path) -> Path:
    """Where it is kept what makes reading from archives fast."""
    return Path(index_dir, "archives")


def configured(data: Mapping[str, Any], **more: Any) -> list[Source]:
    """The data sets of a `data` node, each once.

    Args:
        data: As plain values.
        more: Other attributes of `Source`.
    """
    train, test = configured_parts(data, **more)
    return list(dict.fromkeys([*train, *test]))


def configured_parts(data: Mapping[str, Any], **more: Any) -> tuple[list[Source], list[Source]]:
    """The data sets of a `data` node that are trained on, and those that are tested on.

    Raises:
        UserError: None is named, or `chosen_sources` refuses.
    """
    folders = {"index_dir": data["index_dir"], "faces_dir": data["faces_dir"]} | more
    keys = ("layout", "options", "train", "test", "index", "group_pattern", "video_pattern")
    train, test = chosen_sources(data["data_dir"], **{key: data[key] for key in keys}, **folders)
    if not train and not test:
        train = test = [Source(data["layout"], data["data_dir"], data["index"], **folders)]
    return train, test


def chosen_sources(
    data_dir: str | None,
    *,
    layout: str,
    options: Mapping[str, Any] | None = None,
    train: Sequence[Any] | None = None,
    test: Sequence[Any] | None = None,
    index: str | None = None,
    group_pattern: str | None = None,
    video_pattern: str | None = None,
    only_test: bool = False,
    no_test: bool = False,
    **folders: Any,
) -> tuple[list[Source], list[Source]]:
    """The data sets that are trained on and those that are tested on; one that is named twice is one.

    Options and patterns go to the data set in `data_dir`, and to those that are named: to those of `layout`, or, where
    that has no such option, to all that have it. What an entry says itself comes first.

    Args:
        data_dir: The folder to train on, unless `train` names others.
        layout: Its layout.
        options: Of the layout.
        train: Data sets to train on; see `sources_of`.
        test: Data sets to test on; default: those trained on.
        index: Its index.
        group_pattern: An option of the folder layout.
        video_pattern: Likewise.
        only_test: What is trained on isn't used where `test` names what is tested on.
        no_test: Nothing is tested on.
        folders: Other attributes of `Source`.

    Raises:
        UserError: An entry can't be understood, or something is said that no data set would heed.
    """
    patterns = {"group_pattern": group_pattern, "video_pattern": video_pattern}
    given = dict(options or {}) | {name: pattern for name, pattern in patterns.items() if pattern}
    unused = bool(train or (only_test and test))
    own = [] if unused or not (data_dir or layout == INDEX) else [Source(layout, data_dir, index, given, **folders)]
    if train and not only_test and (name := _first_named(data_dir=data_dir, index=index)):
        raise UserError(
            f"data.{name} is used for nothing, because data.train names what is trained on; add it to data.train or "
            "data.test, or leave it out"
        )
    named = [*(train or []), *(test or [])]
    different = {repr(entry): entry for entry in named}
    sources = dict(zip(different, sources_of(list(different.values()), **folders), strict=True))
    if named:
        heeded = _with_options(list(sources.values()), given, layout, needed=not own)
        sources = dict(zip(sources, heeded, strict=True))
    trained = [sources[repr(entry)] for entry in train] if train else own
    tested = [sources[repr(entry)] for entry in test] if test else trained
    aims = (() if only_test else SPLITS[:2], () if no_test else SPLITS[2:])
    return _with_splits(trained, tested, *aims)


def _with_splits(
    train: list[Source], test: list[Source], of_train: tuple[str, ...], of_test: tuple[str, ...]
) -> tuple[list[Source], list[Source]]:
    """The same data sets, each with the splits that it is used for."""
    found = {
        source: replace(source, splits=of_train * (source in train) + of_test * (source in test))
        for source in (*train, *test)
    }
    return [found[source] for source in train], [found[source] for source in test]


def _first_named(**values: Any) -> str:
    return next((f"{name}={value}" for name, value in values.items() if value), "")


def _with_options(sources: list[Source], given: Mapping[str, Any], layout: str, *, needed: bool) -> list[Source]:
    """Data sets with those of the options given for all that they have; see `chosen_sources`."""
    defaults = _defaults(layout)
    said = {key: value for key, value in given.items() if _said(value) != _said(defaults.get(key))}
    shared: list[dict[str, Any]] = [{} for _ in sources]
    for key, value in said.items():
        having = [number for number, source in enumerate(sources) if key in _defaults(source.layout)]
        if key in defaults:
            having = [number for number in having if sources[number].layout == layout]
        for number in having:
            shared[number][key] = value
        if needed and not having:
            raise UserError(_unheeded(key, value, sources, layout if key in defaults else None))
    return [
        replace(source, options={**more, **source.options}) if more else source
        for source, more in zip(sources, shared, strict=True)
    ]


def _unheeded(key: str, value: Any, sources: Sequence[Source], layout: str | None) -> str:
    option = f"data.{key}" if key in ("group_pattern", "video_pattern") else f"data.options.{key}"
    layouts = ", ".join(dict.fromkeys(source.layout for source in sources))
    whose = f"is an option of data={layout}, and" if layout else "is used for nothing:"
    return (
        f"{option}={value} {whose} none of the data sets in data.train and data.test ({layouts}) has it; leave it out"
    )


def _defaults(layout: str) -> dict[str, Any]:
    """The options of a layout with their defaults."""
    return {"outside": False} if layout == INDEX else options_of(LAYOUTS[layout])


def sources_of(entries: Sequence[Any], **defaults: Any) -> list[Source]:
    """The data sets that a list such as `data.train` names.

    Args:
        entries: Each an index file, a manifest, a prepared folder, `layout:folder`, or a mapping with `layout`,
            `data_dir`, `index` and `options`.
        defaults: Other attributes of `Source`.

    Raises:
        UserError: An entry can't be understood; the text says which forms there are.
    """
    return [_source(entry, defaults) for entry in entries]


def _source(entry: Any, defaults: Mapping[str, Any]) -> Source:
    if isinstance(entry, Mapping):
        unknown = sorted(set(entry) - set(_KEYS))
        if unknown or not {"layout", "index"} & set(entry):
            raise UserError(f"{dict(entry)} names no data set: give some of {', '.join(_KEYS)}")
        return Source(**({"layout": INDEX} | dict(entry) | dict(defaults)))
    text = str(entry)
    layout, colon, folder = text.partition(":")
    if colon and layout in LAYOUTS:
        return Source(layout, folder, **defaults)
    if text.endswith(".parquet"):
        return Source(INDEX, index=text, **defaults)
    if Path(text, INDEX_NAME).is_file():
        return Source(INDEX, index=str(Path(text, INDEX_NAME)), **defaults)
    if text.endswith((".csv", ".json", ".jsonl", ".tsv")) and "manifest" in LAYOUTS:
        return Source("manifest", text, **defaults)
    raise UserError(
        f"{text!r} names no data set: give an index (FILE.parquet), a folder that `python -m addnet.prepare` filled, "
        f"or layout:folder with one of the layouts {', '.join(LAYOUTS)}"
    )
