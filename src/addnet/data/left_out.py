"""A list of images to leave out of training, such as fakes in which hardly anything was changed; a test keeps them."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from addnet.data.layouts.text_files import read_text
from addnet.errors import UserError
from addnet.index.records import Records
from addnet.wording import count

log = logging.getLogger(__name__)

COLUMN = "path"


def read_left_out(file: str | Path) -> list[str]:
    """Reads the paths in a list: a CSV with a column `path`, as the audit writes it, or one path per line.

    Raises:
        UserError: The list can't be read, or is empty.
    """
    place = Path(file).expanduser()
    if not place.is_file():
        raise UserError(
            f"data.leave_out={file}: there is no such file; use the one that `addnet data audit` writes, or a text "
            "file with one path per line"
        )
    lines = read_text(place).text.splitlines()
    header = next(csv.reader(lines[:1]), [])
    rows = csv.DictReader(lines) if COLUMN in header else ({COLUMN: line} for line in lines)
    paths = [path for row in rows if (path := (row[COLUMN] or "").strip())]
    if not paths:
        raise UserError(f"data.leave_out={file} names no image; use data.leave_out=null to leave none out")
    return paths


def without(records: Records, paths: list[str], *, file: str | Path) -> Records:
    """The records without those of some paths, which are relative to the data folder.

    Args:
        records: The training images.
        paths: The paths to leave out; some may be of other images, such as those of validation.
        file: The list, for messages.

    Raises:
        UserError: None of the paths is of a training image: the list belongs to another folder.
    """
    named = np.asarray(pc.is_in(records.paths.cast(pa.string()), value_set=pa.array(paths, pa.string())), dtype=bool)
    if not named.any():
        example = records[0].path if len(records) else "train/fake/a.jpg"
        raise UserError(
            f"data.leave_out={file} names no training image: its first path is {paths[0]}, but that of a training "
            f"image is {example}; give paths relative to the data folder"
        )
    log.info("train: left out %s listed in %s", count(int(named.sum()), "image"), file)
    return records.take(~named)
