"""A manifest's rows as a table of texts: CSV, JSON or JSON lines; only the columns that are wanted."""

from __future__ import annotations

import csv
import io
import json
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from addnet.data.layouts.text_files import read_json, read_text
from addnet.errors import UserError
from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from addnet.untrusted.texts import in_data

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
LINE_SUFFIXES = (".jsonl", ".ndjson")
SUFFIXES = (*CSV_SUFFIXES, ".json", *LINE_SUFFIXES)
_DELIMITERS = ",;\t"
_SPLITS = ("train", "val", "test")
_MOST_COLUMNS = 100

Choose = Callable[[list[str]], Iterable[str]]


@dataclass(frozen=True)
class Rows:
    """The rows of a manifest.

    Attributes:
        file: The manifest, for messages.
        table: (N rows) columns of texts; a missing value is empty.
        noun: What messages call a row.
        first: Number of the first row, as somebody who opens the file counts.
        notes: What a user should know about how it was read.
    """

    file: Path
    table: pa.Table
    noun: str
    first: int
    notes: tuple[str, ...] = ()

    def name(self, position: int) -> str:
        """A row as a person finds it, such as `row 2` for the first below a header."""
        return f"{self.noun} {position + self.first}"


def read_rows(file: Path, choose: Choose) -> Rows:
    """Reads a manifest.

    Args:
        file: In any encoding that `read_text` knows. CSV has a header, perhaps after empty lines, comments (`#`) and
            `sep=;`, and is separated by comma, semicolon or tab. JSON is a list of objects, one object
            `{"path": {…}}`, the same for each split (`{"train": {"path": {…}}}`), or lines of objects.
        choose: Names of all columns → names of those to be read.

    Raises:
        UserError: The file can't be read, is damaged or has another format; the message names the row if possible.
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{file} doesn't have the suffix of a manifest; expected one of {', '.join(SUFFIXES)}")
    try:
        return _read(file, suffix, choose)
    except RecursionError as error:
        raise UserError(f"{file} is nested too deeply for a manifest; expected a list of objects") from error
    except csv.Error as error:
        raise UserError(f"{file} is damaged: {error}") from error


def _read(file: Path, suffix: str, choose: Choose) -> Rows:
    text, note = read_text(file)
    notes = (note,) if note else ()
    if suffix in CSV_SUFFIXES:
        table, above = _read_csv(file, text, choose)
        return Rows(file, table, "row", above + 2, notes)
    if suffix in LINE_SUFFIXES:
        return Rows(file, _columns(file, _lines(file, text), choose), "line", 1, notes)
    noun, content = _read_json(file, text)
    return Rows(file, _columns(file, content, choose), noun, 1, notes)


def _read_csv(file: Path, text: str, choose: Choose) -> tuple[pa.Table, int]:
    """Columns, and how many lines stand above the header."""
    above, line = _header(text)
    delimiter = max(_DELIMITERS, key=line.count)
    header = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    _refuse_rows_as_header(file, line, header, delimiter)
    wanted = list(choose(header))
    try:
        return _parsed(text, header, wanted, delimiter, above, threads=True), above
    except pa.ArrowInvalid:  # once more in one thread: only then does the error name the row
        try:
            return _parsed(text, header, wanted, delimiter, above, threads=False), above
        except pa.ArrowInvalid as error:
            columns = f"{len(header)} columns, separated by {delimiter!r}"
            raise UserError(f"{file}: {error}; the header has {columns}") from error


def _header(text: str) -> tuple[int, str]:
    """The line with the names of the columns, and how many lines stand above it."""
    for number, line in enumerate(io.StringIO(text, newline=None)):
        if line.strip() and not line.startswith(("#", "sep=")):
            return number, line
    return 0, ""


def _refuse_rows_as_header(file: Path, line: str, header: Sequence[str], delimiter: str) -> None:
    """Raises a UserError if the first line is not a header but a row: one of its cells is an image or a video."""
    path = next((cell for cell in header if cell.lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))), None)
    by_blanks = line.split()
    if path is None and len(by_blanks) > 1 and by_blanks[0].lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)):
        raise UserError(
            f"{file} has no header, and blanks between its columns: its first line is {reprlib.repr(line.strip())}; "
            "separate them by commas and add a line such as path,label at the top"
        )
    if path is not None:
        names = ["path" if cell == path else f"column_{number}" for number, cell in enumerate(header, 1)]
        if len(names) > 1:
            names[1 if names[0] == "path" else 0] = "label"
        raise UserError(
            f"{file} has no header: its first line is {reprlib.repr(line.strip())}; add a line with the names of its "
            f"{len(header)} columns at the top, such as {delimiter.join(names)}"
        )


def _parsed(text: str, header: list[str], wanted: list[str], delimiter: str, above: int, *, threads: bool) -> pa.Table:
    return pacsv.read_csv(
        pa.BufferReader(text.encode()),
        # the header is skipped and given separately, stripped of blanks
        read_options=pacsv.ReadOptions(column_names=header, skip_rows=above + 1, use_threads=threads),
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), include_columns=wanted, strings_can_be_null=False
        ),
    )


def _read_json(file: Path, text: str) -> tuple[str, list[Any]]:
    """What an entry is called in messages, and the entries."""
    try:
        content = read_json(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and error.lineno > 1:  # JSON lines in a file named .json
            return "line", _lines(file, text)
        raise UserError(f"{file} is damaged: {error.msg} at line {error.lineno}, column {error.colno}") from error
    if isinstance(content, dict):
        content = _entries(content)
    if not isinstance(content, list):
        raise UserError(f"{file} holds a {type(content).__name__}; expected a list of objects or an object of paths")
    return "entry", content


def _entries(content: Mapping[str, Any]) -> list[Any]:
    """Entries of an object of paths, or of an object of splits with such objects."""
    if content and all(key in _SPLITS and isinstance(value, Mapping) for key, value in content.items()):
        return [{"split": split, **entry} for split, inner in content.items() for entry in _entries(inner)]
    return [{"path": path, **(e if isinstance(e, Mapping) else {"label": e})} for path, e in content.items()]


def _lines(file: Path, text: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            rows.append(read_json(line) if line.strip() else None)
        except json.JSONDecodeError as error:
            raise UserError(f"{file}, line {number}: {error.msg} at column {error.colno}") from error
    while rows and rows[-1] is None:
        rows.pop()
    return rows


def _columns(file: Path, rows: Sequence[Any], choose: Choose) -> pa.Table:
    """Objects as columns of texts."""
    names: dict[str, None] = {}
    for position, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise UserError(f"{file}, entry {position}: {reprlib.repr(row)} is not an object with a path and a label")
        names.update(dict.fromkeys(map(str, row)))
        if len(names) > _MOST_COLUMNS:
            raise UserError(
                f"{file}, entry {position}: its keys look like data, not columns ({', '.join(list(names)[:3])} …); is "
                'it nested too deeply? Expected entries such as {"path": "a.jpg", "label": "fake"}, or '
                '{"a.jpg": {"label": "fake"}}'
            )
    wanted = list(choose(list(names)))
    return pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in wanted})


def _text(value: Any) -> str:
    """A value as CSV would have it; a missing value or NaN is empty."""
    if isinstance(value, str):
        return in_data(value)
    if isinstance(value, list):
        return " ".join(_text(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # whole numbers of a column that had gaps
        return str(int(value))
    return "" if value is None or value != value else str(value)
