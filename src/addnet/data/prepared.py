"""Data sets → their indexes brought up to date, before anything is read from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from addnet.data.moved import take_over_images, take_over_videos
from addnet.data.sources import INDEX, Source
from addnet.data.usable import refuse_too_many_bad
from addnet.errors import UserError
from addnet.faces.landmarks import Landmarker
from addnet.index.faces import FaceIndex
from addnet.index.records import Records
from addnet.index.update import IndexUpdate
from addnet.preparation.images import prepare_images
from addnet.preparation.settings import PrepareSettings
from addnet.preparation.videos import prepare_videos
from addnet.wording import count

log = logging.getLogger(__name__)

_MOST_NAMED = 10  # files that can't be used; the report of a preparation and a training's skipped.csv have the others


def require_listed(sources: Sequence[Source]) -> None:
    """Lists what lies in the folders of data sets, without opening any file of it; the lists are kept.

    Raises:
        UserError: A data set isn't there, or is not complete.
    """
    for source in sources:
        if source.layout != INDEX:
            _ = source.listing
        elif not Path(str(source.index)).expanduser().is_file():
            raise UserError(f"data.index={source.index}: no such file; name the one that `addnet prepare` wrote")


def cut_videos(
    source: Source, *, landmarker: Landmarker, settings: PrepareSettings, max_bad_fraction: float = 1.0
) -> list[dict[str, Any]]:
    """Cuts the faces out of the videos of a data set that comes as videos.

    Args:
        source: The data set.
        landmarker: Finds faces; that images are crops is not assumed.
        settings: How the work is done, and what is cut out.
        max_bad_fraction: Share of unusable videos above which it stops.

    Returns:
        What is known about each video, by the keys of `VideoFinding.entry`.

    Raises:
        UserError: Too many videos are unusable, or two of them have the same id.
    """
    take_over_videos(source)
    videos = source.used(source.listing.videos).replaced(root=str(source.data_root))
    scenes = replace(landmarker, face_crops=False)
    with IndexUpdate(source.index_file, source.cut_dir, wait=settings.wait) as update:
        entries = prepare_videos(update, videos, settings=settings.crops(), landmarker=scenes, run=settings.run)
    skipped = [(entry["path"], entry["reason"]) for entry in entries if entry["reason"]]
    _warn(skipped)
    without = sum(not entry["reason"] and not entry["crops"] for entry in entries)
    images = sum(entry["crops"] for entry in entries)
    gave = f"{count(len(entries), 'video')} gave {count(images, 'image')}"
    log.info("%s: %s; %d without a face, %d unusable", source.index_file, gave, without, len(skipped))
    refuse_too_many_bad(skipped, len(entries), max_fraction=max_bad_fraction, kind="videos")
    return entries


def index_images(
    source: Source,
    records: Records,
    *,
    landmarker: Landmarker | None,
    settings: PrepareSettings,
    max_bad_fraction: float = 1.0,
) -> int:
    """Looks at the images of a data set that are new or have changed.

    Args:
        source: The data set.
        records: Those of its images that are needed.
        landmarker: Finds faces; None only checks that images are whole.
        settings: How the work is done.
        max_bad_fraction: Share of unusable files above which it stops.

    Returns:
        How many images were looked at.

    Raises:
        UserError: Too many files are unusable.
    """
    take_over_images(source, records, wait=settings.wait)
    with IndexUpdate(source.index_file, source.root, wait=settings.wait) as update:
        looked_at = prepare_images(
            update, records.replaced(root=""), landmarker=landmarker, run=settings.run, storage=source.storage
        )
    log.info(
        "%s: %s looked at, %d known already", source.index_file, count(looked_at, "image"), len(records) - looked_at
    )
    index = FaceIndex(source.index_file, columns=("path", "reason"))
    rows = index.rows.take(index.find(records.paths))
    bad = rows.filter(pc.is_valid(rows["reason"]))
    skipped = list(zip(bad["path"].to_pylist(), bad["reason"].to_pylist(), strict=True))
    _warn(skipped)
    refuse_too_many_bad(skipped, len(records), max_fraction=max_bad_fraction)
    return looked_at


def _warn(skipped: Sequence[tuple[str, str]]) -> None:
    for path, reason in skipped[:_MOST_NAMED]:
        log.warning("left out: %s: %s", path, reason)
    if len(skipped) > _MOST_NAMED:
        log.warning("left out: %s more", f"{len(skipped) - _MOST_NAMED:,}")


def by_root(sources: Sequence[Source]) -> dict[str, Source]:
    """Data sets by the folder that their records name as root; of several with one root, one that can be prepared."""
    return {str(source.root): source for source in sorted(sources, key=lambda source: source.layout != INDEX)}


def open_indexes(sources: Sequence[Source]) -> Mapping[str, FaceIndex]:
    """The indexes of data sets, by the folder that their records name as root."""
    return {root: FaceIndex(source.index_file) for root, source in by_root(sources).items()}
