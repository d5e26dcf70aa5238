"""What a layout finds in a folder: images or videos, and what it expected but did not find."""

from __future__ import annotations

from dataclasses import dataclass, field

from addnet.index.records import Records


@dataclass(frozen=True)
class MissingPart:
    """Something that a data set has as its authors ship it and that is not here.

    Attributes:
        path: Where it was expected, relative to the data folder.
        what: What it is, such as `official test list`.
        needed: Without it nothing is trained or tested; otherwise its part is left out.
        split: `train`, `val` or `test` if it matters to that alone; empty: to all.
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
        videos: Videos that faces are to be taken from first.
        missing: What was expected and is not there.
        notes: What a user should know, such as files that no list names.
        doubts: What was guessed and may be wrong.
    """

    images: Records = field(default_factory=lambda: Records.of([]))
    videos: Records = field(default_factory=lambda: Records.of([]))
    missing: list[MissingPart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
