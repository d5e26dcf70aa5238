"""The lists and labels that data sets ship, read with checks for damage; and the notes of a scan."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from addnet.data.layouts.frames import VideoCollection
from addnet.data.layouts.listing import Listing, MissingPart
from addnet.data.layouts.text_files import MAX_BYTES, read_json, read_text
from addnet.errors import UserError
from addnet.index.records import Records
from addnet.untrusted.files import read_bytes
from addnet.untrusted.texts import shown
from addnet.wording import count

_MOST_NAMED = 3


@dataclass
class ListFindings:
    """What a scan reports, collected during the scan.

    Attributes:
        missing: What was expected but not found.
        notes: What a user should know.
    """

    missing: list[MissingPart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lacks(self, path: str, what: str, *, needed: bool = False) -> None:
        """Adds something that was expected at this path, relative to the data folder."""
        self.missing.append(MissingPart(path, what, needed))

    def note(self, names: Collection[str], one: str, many: str) -> None:
        """Adds a note about some files, if there are any: their number, the phrase for one or many, the first names."""
        if names:
            self.notes.append(f"{count(len(names), one, many)}: {few(names)}")

    def listing(self, parts: Iterable[VideoCollection], *, named_by: str = "the lists") -> Listing:
        """The listing of everything that was collected."""
        found = list(parts)
        absent = [path for part in found for path in part.absent]
        self.note(absent, f"video named by {named_by} is missing", f"videos named by {named_by} are missing")
        bare, why = [path for part in found for path in part.bare], "left out: no images were extracted from"
        self.note(bare, f"video is {why} it", f"videos are {why} them")
        images = Records.concat(part.images for part in found)
        return Listing(images, Records.concat(part.videos for part in found), self.missing, self.notes)


def few(names: Collection[str]) -> str:
    """The first names, and how many more there are.

    Example:
        >>> few(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    first = ", ".join(map(shown, sorted(names)[:_MOST_NAMED]))
    return first + (f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else "")


def read_object(file: Path) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        UserError: It can't be read, is damaged (the message says where) or holds something else.
    """
    try:
        content = read_json(read_bytes(file, most=MAX_BYTES))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"{file} is damaged: {error.msg} at {place}; unpack or download it again") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is damaged: byte {error.start} is not text; unpack or download it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds a {type(content).__name__}; expected an object with one entry per video")
    return content


def read_names(file: Path) -> list[str]:
    """Reads a text file with one name per line; empty lines are skipped.

    Raises:
        UserError: It can't be read or is not text.
    """
    lines = read_text(file).text.splitlines()
    return [line.strip() for line in lines if line.strip()]


def read_rows(file: Path, *columns: str) -> list[dict[str, str]]:
    """Reads the rows of a CSV file with a header; missing values are empty.

    Raises:
        UserError: It can't be read, or one of these columns is not in its header.
    """
    try:
        rows = list(csv.DictReader(read_names(file)))
    except csv.Error as error:
        raise UserError(f"{file} is damaged: {error}; unpack or download it again") from error
    header = list(rows[0]) if rows else []
    if absent := [column for column in columns if column not in header]:
        wanted = ", ".join(map(repr, absent))
        raise UserError(f"{file} has the columns {header}; expected {wanted} as well, and one row per video")
    return [{column: row[column] or "" for column in columns} for row in rows]


def read_pairs(file: Path, key: str, value: str) -> dict[str, str]:
    """Reads two columns of a CSV file with a header, as a dictionary.

    Raises:
        UserError: It can't be read, or a column is not in its header.
    """
    return {row[key]: row[value] for row in read_rows(file, key, value)}
