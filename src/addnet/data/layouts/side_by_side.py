"""Images and videos side by side in a data set without a published layout: which of them are listed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from addnet.data.layouts.frames import SOURCES
from addnet.data.layouts.listing import Listing, MissingPart
from addnet.errors import require_choice
from addnet.index.records import CLASS_NAMES, Records
from addnet.wording import count

_PLAIN = re.compile(r"[\w./-]+")  # what Hydra takes without quotes


def chosen_kind(listing: Listing, source: str, *, layout: str, root: Path) -> Listing:
    """Reduces a listing to the kind that `source` asks for.

    `auto` lists images if every class of every split has some, or else videos if every one has some. Where both are
    needed, the user has to choose: a network would learn the difference between crops and images.

    Args:
        listing: The listing, with images and videos.
        source: `auto`, `images` or `videos`.
        layout: Name of the layout, for the remedy.
        root: The data folder, for the remedy.

    Raises:
        UserError: An unknown `source`.
    """
    require_choice("data.options.source", source, SOURCES)
    none = Records.of([])
    if source != "auto":
        return replace(listing, images=none) if source == "videos" else replace(listing, videos=none)
    imaged, filmed = set(_cells(listing.images)), set(_cells(listing.videos))
    if not imaged or filmed <= imaged:
        return listing
    if imaged <= filmed:
        note = f"left out {count(len(listing.images), 'image')}, because every class of every split has videos"
        return replace(listing, images=none, notes=[*listing.notes, note])
    return replace(listing, missing=[*_apart(imaged, filmed, layout=layout, root=root), *listing.missing])


def _cells(records: Records) -> Iterator[tuple[str, str]]:
    """The pairs of split and class that are not empty."""
    splits, labels = records.table["split"].to_pylist(), records.labels.tolist()
    yield from ((split, CLASS_NAMES[label]) for split, label in set(zip(splits, labels, strict=True)) if label >= 0)


def _apart(
    imaged: set[tuple[str, str]], filmed: set[tuple[str, str]], *, layout: str, root: Path
) -> Iterator[MissingPart]:
    """What has only images and what has only videos, with what to type to use both."""
    place = str(root) if _PLAIN.fullmatch(str(root)) else '"{}"'.format(str(root).replace('"', '\\"'))
    entries = (f"{{layout: {layout}, data_dir: {place}, options: {{source: {kind}}}}}" for kind in SOURCES[:0:-1])
    typed = shlex.quote(f"data.train=[{', '.join(entries)}]")
    for split, name in sorted(filmed - imaged):
        others = ", ".join("/".join(cell) for cell in sorted(imaged - filmed))
        yield MissingPart(
            f"{split}/{name}",
            f"images: it has only videos, and there are only images for {others}. A network may then learn the "
            "difference between the two; to crop faces from the videos and use both anyway, replace data.data_dir "
            f"by {typed}",
            needed=True,
        )
        return
