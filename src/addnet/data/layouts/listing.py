"""What a layout finds in a folder: images or videos, and what it expected but did not find."""

from __future__ import annotations

from dataclasses import dataclass, field

from addnet.index.records import Records


@dataclass(frozen=True)
class MissingPart:
    """A part of a data set, as its authors ship it, that is missing in the data folder.

    Attributes:
        path: Where it was expected, relative to the data folder.
        what: What it is, such as `official test list`.
        needed: Whether nothing can be trained or tested without it; otherwise only this part is left out.
        split: `train`, `val` or `test` if only that split needs it; empty: all do.
    """

    path: str
    what: str
    needed: bool = False
    split: str = ""


@dataclass(frozen=True)
class Listing:
    """The content of a data folder.

    Attributes:
        images: Face crops or frames, to be trained on.
        videos: Videos whose faces must first be extracted.
        missing: What was expected but not found.
        notes: What a user should know, such as files that no list names.
        doubts: What was guessed and may be wrong.
    """

    images: Records = field(default_factory=lambda: Records.of([]))
    videos: Records = field(default_factory=lambda: Records.of([]))
    missing: list[MissingPart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
