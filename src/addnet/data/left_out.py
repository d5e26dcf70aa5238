"""A list of images that training leaves out, such as fakes in which hardly anything was changed. Never of a test."""

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
    """The paths of a list: a CSV with a column `path`, as the audit writes it, or a path a line.

    Raises:
        UserError: It can't be read, or is empty.
    """
    place = Path(file).expanduser()
    if not place.is_file():
        raise UserError(f"data.leave_out={file}: there is no such file; the audit writes one, or give a path a line")
    lines = read_text(place).text.splitlines()
    header = next(csv.reader(lines[:1]), [])
    rows = csv.DictReader(lines) if COLUMN in header else ({COLUMN: line} for line in lines)
    paths = [path for row in rows if (path := (row[COLUMN] or "").strip())]
    if not paths:
        raise UserError(f"data.leave_out={file} names no image; leave it out (null) where there is none")
    return paths


def without(records: Records, paths: list[str], *, file: str | Path) -> Records:
    """Records but those of some paths, as they lie below the data folder.

    Args:
        records: Of training.
        paths: Those that are left out; others than these records may be among them, such as those of validation.
        file: Where they stand, for messages.

    Raises:
        UserError: None of them is there: the list is of another folder.
    """
    named = np.asarray(pc.is_in(records.paths.cast(pa.string()), value_set=pa.array(paths, pa.string())), dtype=bool)
    if not named.any():
        example = records[0].path if len(records) else "train/fake/a.jpg"
        raise UserError(
            f"data.leave_out={file} names no image of training; its first is {paths[0]}, where one of training is "
            f"{example}: paths are those below the data folder"
        )
    log.info("train: %s left out, as %s says", count(int(named.sum()), "image"), file)
    return records.take(~named)
