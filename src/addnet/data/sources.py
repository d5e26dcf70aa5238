"""A data set: its layout, its folder, and its index."""

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
VALIDATION = ("val", "train", "test")  # splits for the validation of a data set that isn't trained on, by preference


@dataclass(frozen=True, eq=False)
class Source:
    """One data set.

    Attributes:
        layout: A name in `LAYOUTS`, or `index`.
        data_dir: Its folder (for `manifest`: the file); with `index`: the folder that its paths are relative to, if it
            isn't the one that the index names.
        index: The index file; None: a file in `index_dir`, named after the data set.
        options: Arguments of the layout.
        index_dir: Folder for indexes of images.
        faces_dir: Folder for faces cropped from videos, with their indexes.
        output: Folder for the faces cropped from its videos; None: a folder in `faces_dir`, named after the data set.
        splits: The splits for which it is used. Files of other splits may be missing, and only videos of these splits
            are cropped.
        validates: Checkpoints are chosen on it although it isn't trained on, on the first split of `VALIDATION` that
            it has.
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
            raise UserError("data.index is not set: give the file that `addnet prepare` wrote")
        if self.layout != INDEX and not self.data_dir:
            raise UserError(f"data.data_dir is not set: name the folder that holds the data (data={self.layout})")
        if why := oddity(str(self.data_dir or "")):
            raise UserError(
                f"data.data_dir={shown(self.data_dir)}: the name {why}, so it can't be stored in an index; rename the "
                "folder, or link to it under another name"
            )
        require_options(option_defaults(self.layout), self.layout, self.options)

    @cached_property
    def found(self) -> Listing:
        """The files that the layout finds in the folder, complete or not.

        Raises:
            UserError: The layout doesn't have an option, or can't read the folder.
        """
        options = dict(self.options)
        if "cache_dir" in option_defaults(self.layout):
            options["cache_dir"] = options.get("cache_dir") or archives_dir(self.index_dir)
        listing = list_data(LAYOUTS, self.layout, str(self.data_dir), options=options)
        return replace(listing, images=_below(listing.images), videos=_below(listing.videos))

    @cached_property
    def listing(self) -> Listing:
        """The files that the layout finds in the folder; logs notes and doubts.

        Raises:
            UserError: Something required is missing, or there are no images or videos.
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
                f"data={self.layout} {shlex.quote(f'data.data_dir={self.data_dir}')}` lists the files found"
            )
        for note in listing.notes:
            log.info("%s: %s", self.data_dir, note)
        for doubt in listing.doubts:
            log.warning("%s: doubtful: %s", self.data_dir, doubt)
        for item in missing:
            log.warning("%s: missing: %s, %s", self.data_dir, item.path, item.what)
        if len(listing.images) and len(listing.videos):
            log.warning("%s: %s", self.data_dir, left_alone(listing))
        return listing

    def used(self, records: Records) -> Records:
        """The records of the splits for which it is used, and all unlabelled ones."""
        used = self._used_splits(records)
        unused = pa.array([split for split in SPLITS if split not in used], pa.string())
        return records.take(~pc.is_in(records.table["split"].cast(pa.string()), value_set=unused).to_numpy())

    def validation_split(self, records: Records) -> str:
        """The split to choose checkpoints on, if it `validates`; empty if there is none."""
        available = records.names("split")
        return next((split for split in VALIDATION if split in available), "")

    def _used_splits(self, records: Records) -> tuple[str, ...]:
        return (*self.splits, self.validation_split(records)) if self.validates else self.splits

    @property
    def storage(self) -> Storage:
        """Reads its images."""
        return Storage(archives_dir(self.index_dir))

    @property
    def from_videos(self) -> bool:
        """Whether faces have to be cropped from videos first."""
        return self.layout != INDEX and not len(self.listing.images) and len(self.listing.videos) > 0

    @property
    def index_file(self) -> Path:
        """The index file with the faces found in its images."""
        if self.index:
            return Path(self.index)
        if self.from_videos:
            return self.cut_dir / INDEX_NAME
        return Path(self.index_dir, f"{self._own_name}.parquet")

    @property
    def cut_dir(self) -> Path:
        """Folder for the faces that are cropped from its videos."""
        return Path(self.output) if self.output else Path(self.faces_dir, self._own_name)

    @property
    def root(self) -> Path:
        """Folder that the paths of its records are relative to."""
        if self.layout == INDEX:
            return Path(self.data_dir) if self.data_dir else self._opened.root
        return self.cut_dir if self.from_videos else self.data_root

    @property
    def data_root(self) -> Path:
        """Folder that the paths of the data set itself are relative to; for a manifest or list, that of the file."""
        folder = Path(str(self.data_dir))
        return folder.parent if folder.is_file() else folder

    def records(self) -> Records:
        """Its images; their `root` is the folder that their paths are relative to.

        Raises:
            UserError: Faces haven't been cropped from its videos yet.
        """
        if self.layout == INDEX:
            images = self._opened.records()
        elif self.from_videos:  # the index keeps crops of videos that no longer exist or are no longer listed
            listed = self.listing.videos.paths.cast(pa.string())
            here = pc.is_in(self._opened.rows["source"].cast(pa.string()), value_set=listed)
            images = self._opened.records().take(here.to_numpy())
        else:
            images = self.listing.images
        return images.replaced(root=str(self.root))

    @cached_property
    def _opened(self) -> FaceIndex:
        if self.layout == INDEX and (journal := Journal(self.index_file)).file.is_file():
            log.warning(
                "%s is unfinished or being written: %s is beside it. Its rows so far are used; "
                "run the same `addnet prepare` again to finish it",
                self.index_file,
                journal.file.name,
            )
        index = FaceIndex(self.index_file, columns=(*SERVED, "source"))
        if self.layout == INDEX and not self.options.get("outside"):
            require_inside(index, self.data_dir, own=(self.index_dir, self.faces_dir))
        return index

    @property
    def named(self) -> str:
        """Its name in messages: its folder, or else its index."""
        return str(self.data_dir or self.index)

    @property
    def identity(self) -> tuple[str, str]:
        """Equal for two sources with the same data set, options and index."""
        return self._settings, str(Path(self.index).resolve()) if self.index else ""

    @property
    def _own_name(self) -> str:
        return f"{Path(str(self.data_dir)).name}-{hashlib.sha256(self._settings.encode()).hexdigest()[:8]}"

    @property
    def _settings(self) -> str:
        # `outside` says whether the index is trusted, which doesn't make it another data set
        chosen = {key: value for key, value in self.options.items() if key != "outside"}
        changed = sorted(said_options(self.layout, chosen).items())
        return f"{Path(str(self.data_dir)).resolve()}{self.layout}{changed if changed else ''}"


def option_defaults(layout: str) -> dict[str, Any]:
    """The options of a layout with their defaults."""
    return {"outside": False} if layout == INDEX else options_of(LAYOUTS[layout])


def said_options(layout: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from the layout's defaults; those in configs/data repeat the defaults."""
    defaults = option_defaults(layout)
    return {key: value for key, value in options.items() if _normalised(value) != _normalised(defaults.get(key))}


def _normalised(value: Any) -> Any:
    """An option in a form that is equal for a value from YAML and a default from a signature."""
    return (list(value) if isinstance(value, tuple) else value) or None


def _served(listing: Listing) -> Records:
    return listing.images if len(listing.images) else listing.videos


def _below(records: Records) -> Records:
    """Records without their own roots: paths that are relative to one become absolute."""
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
    """The note about the videos of a data set that has images too."""
    return (
        f"{count(len(listing.videos), 'video is', 'videos are')} not used because there are images; if the layout has "
        "data.options.source, set it to videos to use the videos instead"
    )


def archives_dir(index_dir: str | Path) -> Path:
    """Folder for the caches that make reading from archives fast."""
    return Path(index_dir, "archives")
