"""Images and videos beside each other in one data set that is no one's layout: which of them are served."""

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
    """A listing with what `source` asks for.

    `auto` serves images if every class of every split has some, or else videos if every one has some. Where both are
    needed, nothing is chosen for the user: a network would learn what tells crops from images.

    Args:
        listing: With images and videos.
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
        being = count(len(listing.images), "image is", "images are")
        note = f"{being} left alone, because there are videos of all that is there"
        return replace(listing, images=none, notes=[*listing.notes, note])
    return replace(listing, missing=[*_apart(imaged, filmed, layout=layout, root=root), *listing.missing])


def _cells(records: Records) -> Iterator[tuple[str, str]]:
    """The splits and classes that have something."""
    splits, labels = records.table["split"].to_pylist(), records.labels.tolist()
    yield from ((split, CLASS_NAMES[label]) for split, label in set(zip(splits, labels, strict=True)) if label >= 0)


def _apart(
    imaged: set[tuple[str, str]], filmed: set[tuple[str, str]], *, layout: str, root: Path
) -> Iterator[MissingPart]:
    """What has images alone and what has videos alone, with what to type to use both."""
    place = str(root) if _PLAIN.fullmatch(str(root)) else '"{}"'.format(str(root).replace('"', '\\"'))
    entries = (f"{{layout: {layout}, data_dir: {place}, options: {{source: {kind}}}}}" for kind in SOURCES[:0:-1])
    typed = shlex.quote(f"data.train=[{', '.join(entries)}]")
    for split, name in sorted(filmed - imaged):
        others = ", ".join("/".join(cell) for cell in sorted(imaged - filmed))
        yield MissingPart(
            f"{split}/{name}",
            f"images: it has videos alone, and {others} has images alone. What a network learns may then be the "
            "difference between the two; to cut faces out of the videos and use both all the same, replace "
            f"data.data_dir by {typed}",
            needed=True,
        )
        return
