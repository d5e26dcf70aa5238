"""Data sets as a config names them: which layout lies where, and the index that belongs to it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from addnet.data.layouts import LAYOUTS, Listing
from addnet.errors import UserError, require_choice
from addnet.index.faces import FaceIndex
from addnet.index.records import Records
from addnet.index.storage import Storage

INDEX = "index"
KINDS = (INDEX, *LAYOUTS)
INDEX_NAME = "index.parquet"
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
    """

    layout: str
    data_dir: str | None = None
    index: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    index_dir: str = "outputs/index"
    faces_dir: str = "outputs/faces"
    output: str | None = None

    def __post_init__(self) -> None:
        require_choice("data.layout", self.layout, KINDS)
        if self.layout == INDEX and not self.index:
            raise UserError("data.index is not set: name the file that `python -m addnet.prepare` wrote")
        if self.layout != INDEX and not self.data_dir:
            raise UserError(f"data.data_dir is not set: name the folder of {self.layout}")

    @cached_property
    def listing(self) -> Listing:
        """What the layout finds in the folder.

        Raises:
            UserError: Something is missing without which nothing is trained.
        """
        scan, options = LAYOUTS[self.layout], dict(self.options)
        allowed = list(inspect.signature(scan).parameters)[1:]
        for name in options:
            require_choice(f"an option in data.options of {self.layout}", name, allowed)
        if "cache_dir" in allowed:
            options.setdefault("cache_dir", archives_dir(self.index_dir))
        listing = scan(Path(str(self.data_dir)), **options)
        needed = [f"  {item.path}: {item.what}" for item in listing.missing if item.needed]
        if needed:
            raise UserError(
                f"{self.data_dir} is not complete:\n" + "\n".join(needed) + "\n`python -m addnet.data check "
                f"data={self.layout} data.data_dir={self.data_dir}` shows what is there"
            )
        return listing

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
        return self.cut_dir if self.from_videos else self.listing.root or Path(str(self.data_dir))

    def records(self) -> Records:
        """Its pictures; their `root` is the folder that their paths are relative to.

        Raises:
            UserError: Faces were not cut out of its videos yet.
        """
        made_here = self.layout == INDEX or self.from_videos
        found = self._opened.records() if made_here else self.listing.pictures
        return found.replaced(root=str(self.root))

    @cached_property
    def _opened(self) -> FaceIndex:
        return FaceIndex(self.index_file)

    @property
    def _own_name(self) -> str:
        folder = Path(str(self.data_dir))
        settings = f"{folder.resolve()}" + (repr(sorted(self.options.items())) if self.options else "")
        return f"{folder.name}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def archives_dir(index_dir: str | Path) -> Path:
    """Where it is kept what makes reading from archives fast."""
    return Path(index_dir, "archives")


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
