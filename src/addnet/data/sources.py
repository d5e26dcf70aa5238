"""A data set: which layout lies where, and the index that belongs to it."""

from __future__ import annotations

import hashlib
import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from addnet.data.inside import require_inside
from addnet.data.layouts import LAYOUTS, Listing, list_data, options_of
from addnet.data.layouts.options import require_options
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
VALIDATION = ("val", "train", "test")  # where the validation of a data set that isn't trained on is taken from


@dataclass(frozen=True, eq=False)
class Source:
    """One data set.

    Attributes:
        layout: A name in `LAYOUTS`, or `index`.
        data_dir: Its folder (of `manifest`: the file); with `index`: the folder that its paths are relative to, if it
            isn't the one that the index names.
        index: The index file; None: one of its own in `index_dir`.
        options: Arguments of the layout.
        index_dir: Where indexes of images are kept.
        faces_dir: Where faces cut out of videos are kept, with their indexes.
        output: Folder of the faces cut out of its videos; None: one of its own in `faces_dir`.
        splits: What it is used for. What these don't need may be missing, and their videos alone are cut.
        validates: Checkpoints are chosen on it, though it isn't trained on: on the first of `VALIDATION` that it has.
    """

    layout: str
    data_dir: str | None = None
    index: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    index_dir: str = "outputs/index"
    faces_dir: str = "outputs/faces"
    output: str | None = None
    splits: tuple[str, ...] = SPLITS
    validates: bool = False

    def __post_init__(self) -> None:
        require_choice("data.layout", self.layout, KINDS)
        if self.layout == INDEX and not self.index:
            raise UserError("data.index is not set: name the file that `addnet prepare` wrote")
        if self.layout != INDEX and not self.data_dir:
            raise UserError(f"data.data_dir is not set: name the folder that holds the data (data={self.layout})")
        if why := oddity(str(self.data_dir or "")):
            raise UserError(
                f"data.data_dir={shown(self.data_dir)}: the name {why}, so no index can hold it; rename the folder, "
                "or link to it under another name"
            )
        require_options(option_defaults(self.layout), self.layout, self.options)

    @cached_property
    def found(self) -> Listing:
        """What the layout finds in the folder, complete or not.

        Raises:
            UserError: An option that the layout doesn't have, or what the layout raises.
        """
        options = dict(self.options)
        if "cache_dir" in option_defaults(self.layout):
            options["cache_dir"] = options.get("cache_dir") or archives_dir(self.index_dir)
        listing = list_data(LAYOUTS, self.layout, str(self.data_dir), options=options)
        return replace(listing, images=_below(listing.images), videos=_below(listing.videos))

    @cached_property
    def listing(self) -> Listing:
        """What the layout finds in the folder.

        Raises:
            UserError: Something is missing without which nothing is trained, or nothing is there.
        """
        listing = self.found
        wanted = (*self._used_splits(_served(listing)), *VALIDATION[: self.validates])
        missing = [item for item in listing.missing if not item.split or item.split in wanted]
        lacking = [f"  {item.path}: {item.what}" for item in missing if item.needed]
        if not len(listing.images) and not len(listing.videos):
            lacking.append("  neither images nor videos that belong to a split")
        if lacking:
            raise UserError(
                f"{self.data_dir} is not complete:\n" + "\n".join(lacking) + "\n`addnet data check "
                f"data={self.layout} {shlex.quote(f'data.data_dir={self.data_dir}')}` shows what is there"
            )
        for note in listing.notes:
            log.info("%s: %s", self.data_dir, note)
        for doubt in listing.doubts:
            log.warning("%s: doubtful: %s", self.data_dir, doubt)
        for item in missing:
            log.warning("%s: not there: %s, %s", self.data_dir, item.path, item.what)
        if len(listing.images) and len(listing.videos):
            log.warning("%s: %s", self.data_dir, left_alone(listing))
        return listing

    def used(self, records: Records) -> Records:
        """Those of its records that its splits are made of; unlabelled ones are always used."""
        used = self._used_splits(records)
        unused = pa.array([split for split in SPLITS if split not in used], pa.string())
        return records.take(~pc.is_in(records.table["split"].cast(pa.string()), value_set=unused).to_numpy())

    def validation_split(self, records: Records) -> str:
        """Which split of its records checkpoints are chosen on, where it `validates`; empty if it has none."""
        there = records.names("split")
        return next((split for split in VALIDATION if split in there), "")

    def _used_splits(self, records: Records) -> tuple[str, ...]:
        return (*self.splits, self.validation_split(records)) if self.validates else self.splits

    @property
    def storage(self) -> Storage:
        """Reads its images."""
        return Storage(archives_dir(self.index_dir))

    @property
    def from_videos(self) -> bool:
        """Whether faces have to be cut out of videos first."""
        return self.layout != INDEX and not len(self.listing.images) and len(self.listing.videos) > 0

    @property
    def index_file(self) -> Path:
        """The file that holds what was found in its images."""
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
        """Its images; their `root` is the folder that their paths are relative to.

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
            found = self.listing.images
        return found.replaced(root=str(self.root))

    @cached_property
    def _opened(self) -> FaceIndex:
        if self.layout == INDEX and (journal := Journal(self.index_file)).file.is_file():
            log.warning(
                "%s is not finished, or is being written: %s lies beside it. What it has is used; "
                "the `addnet prepare` that began it goes on with the rest",
                self.index_file,
                journal.file.name,
            )
        index = FaceIndex(self.index_file, columns=(*SERVED, "source"))
        if self.layout == INDEX and not self.options.get("outside"):
            require_inside(index, self.data_dir, own=(self.index_dir, self.faces_dir))
        return index

    @property
    def named(self) -> str:
        """What it is called in messages: its folder, or else its index."""
        return str(self.data_dir or self.index)

    @property
    def identity(self) -> tuple[str, str]:
        """The same for two that are the same data set with the same options and the same index."""
        return self._settings, str(Path(self.index).resolve()) if self.index else ""

    @property
    def _own_name(self) -> str:
        return f"{Path(str(self.data_dir)).name}-{hashlib.sha256(self._settings.encode()).hexdigest()[:8]}"

    @property
    def _settings(self) -> str:
        chosen = {
            key: value for key, value in self.options.items() if key != "outside"
        }  # what is trusted tells nothing
        said = sorted(said_options(self.layout, chosen).items())
        return f"{Path(str(self.data_dir)).resolve()}{self.layout}{said if said else ''}"


def option_defaults(layout: str) -> dict[str, Any]:
    """The options of a layout with their defaults."""
    return {"outside": False} if layout == INDEX else options_of(LAYOUTS[layout])


def said_options(layout: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say something else than what the layout does anyway, as the files in configs/data do."""
    defaults = option_defaults(layout)
    return {key: value for key, value in options.items() if _said(value) != _said(defaults.get(key))}


def _said(value: Any) -> Any:
    """An option as YAML and as a signature would both give it."""
    return (list(value) if isinstance(value, tuple) else value) or None


def _served(listing: Listing) -> Records:
    return listing.images if len(listing.images) else listing.videos


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
    """What becomes of the videos of a data set that has images too."""
    return (
        f"{count(len(listing.videos), 'video is', 'videos are')} left alone because there are images; where the "
        "layout has data.options.source, videos takes everything from videos"
    )


def archives_dir(index_dir: str | Path) -> Path:
    """Where it is kept what makes reading from archives fast."""
    return Path(index_dir, "archives")
