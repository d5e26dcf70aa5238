"""Brings the indexes of data sets up to date before they are read."""

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

_MOST_NAMED = 10  # unusable files in the log; the report of a preparation and a training's skipped.csv list all


def require_listed(sources: Sequence[Source]) -> None:
    """Lists the files in the folders of data sets without opening any; each data set keeps its list.

    Raises:
        UserError: A data set doesn't exist or is incomplete.
    """
    for source in sources:
        if source.layout != INDEX:
            _ = source.listing
        elif not Path(str(source.index)).expanduser().is_file():
            raise UserError(f"data.index={source.index}: no such file; give the one that `addnet prepare` wrote")


def cut_videos(
    source: Source, *, landmarker: Landmarker, settings: PrepareSettings, max_bad_fraction: float = 1.0
) -> list[dict[str, Any]]:
    """Crops the faces from the videos of a data set that consists of videos.

    Args:
        source: The data set.
        landmarker: Finds faces; used without the assumption that images are crops of one face.
        settings: How the work is run, and which faces are cropped.
        max_bad_fraction: Largest share of unusable videos that is accepted.

    Returns:
        What is known about each video, with the keys of `VideoFinding.entry`.

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
    total = f"{count(images, 'image')} from {count(len(entries), 'video')}"
    log.info("%s: %s; %d without a face, %d unusable", source.index_file, total, without, len(skipped))
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
    """Examines the images of a data set that are new or have changed.

    Args:
        source: The data set.
        records: Those of its images that are needed.
        landmarker: Finds faces; None: images are only checked for damage.
        settings: How the work is run.
        max_bad_fraction: Largest share of unusable files that is accepted.

    Returns:
        The number of images that were examined.

    Raises:
        UserError: Too many files are unusable.
    """
    take_over_images(source, records, wait=settings.wait)
    with IndexUpdate(source.index_file, source.root, wait=settings.wait) as update:
        examined = prepare_images(
            update, records.replaced(root=""), landmarker=landmarker, run=settings.run, storage=source.storage
        )
    log.info("%s: %s examined, %d unchanged", source.index_file, count(examined, "image"), len(records) - examined)
    index = FaceIndex(source.index_file, columns=("path", "reason"))
    rows = index.rows.take(index.find(records.paths))
    bad = rows.filter(pc.is_valid(rows["reason"]))
    skipped = list(zip(bad["path"].to_pylist(), bad["reason"].to_pylist(), strict=True))
    _warn(skipped)
    refuse_too_many_bad(skipped, len(records), max_fraction=max_bad_fraction)
    return examined


def _warn(skipped: Sequence[tuple[str, str]]) -> None:
    for path, reason in skipped[:_MOST_NAMED]:
        log.warning("skipped: %s: %s", path, reason)
    if len(skipped) > _MOST_NAMED:
        log.warning("skipped: %s more", f"{len(skipped) - _MOST_NAMED:,}")


def by_root(sources: Sequence[Source]) -> dict[str, Source]:
    """Data sets by the root of their records; of several with the same root, one that can be prepared."""
    return {str(source.root): source for source in sorted(sources, key=lambda source: source.layout != INDEX)}


def open_indexes(sources: Sequence[Source]) -> Mapping[str, FaceIndex]:
    """The indexes of data sets by the root of their records."""
    return {root: FaceIndex(source.index_file) for root, source in by_root(sources).items()}
