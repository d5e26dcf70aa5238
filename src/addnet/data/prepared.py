"""Data sets → their indexes brought up to date, before anything is read from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pyarrow.compute as pc

from addnet.data.sources import INDEX, Source
from addnet.data.usable import refuse_too_many_bad
from addnet.faces.landmarks import LandmarkDetector
from addnet.index.faces import FaceIndex
from addnet.index.records import Records
from addnet.index.update import IndexUpdate
from addnet.preparation.pictures import prepare_pictures
from addnet.preparation.settings import PrepareSettings

log = logging.getLogger(__name__)


def cut_videos(sources: Sequence[Source], *, detector: LandmarkDetector, settings: PrepareSettings) -> None:
    """Cuts the faces out of the videos of those data sets that come as videos."""


def index_pictures(
    source: Source,
    records: Records,
    *,
    detector: LandmarkDetector | None,
    settings: PrepareSettings,
    max_bad_fraction: float = 1.0,
) -> int:
    """Looks at the pictures of a data set that are new or have changed.

    Args:
        source: The data set.
        records: Those of its pictures that are needed.
        detector: Finds faces; None only checks that pictures are whole.
        settings: How the work is done.
        max_bad_fraction: Share of unusable files above which it stops.

    Returns:
        How many pictures were looked at.

    Raises:
        UserError: Too many files are unusable.
    """
    with IndexUpdate(source.index_file, source.root, wait=settings.wait) as update:
        looked_at = prepare_pictures(update, records.replaced(root=""), detector=detector, run=settings.run)
    log.info("%s: %d pictures looked at, %d known already", source.index_file, looked_at, len(records) - looked_at)
    index = FaceIndex(source.index_file, columns=("path", "reason"))
    rows = index.rows.take(index.find(records.paths))
    bad = rows.filter(pc.is_valid(rows["reason"]))
    skipped = list(zip(bad["path"].to_pylist(), bad["reason"].to_pylist(), strict=True))
    refuse_too_many_bad(skipped, len(records), max_fraction=max_bad_fraction)
    return looked_at


def open_indexes(sources: Sequence[Source]) -> Mapping[str, FaceIndex]:
    """The indexes of data sets, by the folder that their records name as root."""
    return {str(source.root): FaceIndex(source.index_file) for source in sources}


__all__ = ["INDEX", "cut_videos", "index_pictures", "open_indexes"]
