"""A manifest's rows as a table of texts: CSV, JSON or JSON lines; only the columns that are wanted."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from addnet.errors import UserError

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
LINE_SUFFIXES = (".jsonl", ".ndjson")
SUFFIXES = (*CSV_SUFFIXES, ".json", *LINE_SUFFIXES)
_DELIMITERS = ",;\t"

Choose = Callable[[list[str]], Iterable[str]]


@dataclass(frozen=True)
class Rows:
    """The rows of a manifest.

    Attributes:
        file: Where they stand, for messages.
        table: (N rows) columns of texts; an absent value is empty.
        noun: What a row is called there.
        first: Number of the first row as a reader of the file counts.
    """

    file: Path
    table: pa.Table
    noun: str
    first: int

    def name(self, position: int) -> str:
        """A row as a person finds it, such as `row 2` for the first below a header."""
        return f"{self.noun} {position + self.first}"


def read_rows(file: Path, choose: Choose) -> Rows:
    """Reads a manifest.

    Args:
        file: UTF-8, with or without a byte order mark. CSV has a header and is separated by comma, semicolon or tab.
            JSON is a list of objects, one object `{"path": {…}}`, or lines of objects.
        choose: Names of all columns → names of those to be read.

    Raises:
        UserError: The file can't be read, is damaged or has another form; the text names the row where it can.
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{file} is no manifest by its suffix; expected one of {', '.join(SUFFIXES)}")
    try:
        if suffix in CSV_SUFFIXES:
            return Rows(file, _read_csv(file, choose), "row", 2)
        if suffix in LINE_SUFFIXES:
            return Rows(file, _columns(file, _lines(file), choose), "line", 1)
        return _read_json(file, choose)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def _read_csv(file: Path, choose: Choose) -> pa.Table:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        line = stream.readline()
    delimiter = max(_DELIMITERS, key=line.count)
    header = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    wanted = list(choose(header))
    try:
        return _parsed(file, header, wanted, delimiter, threads=True)
    except pa.ArrowInvalid:  # again in one thread: only then the row is named
        try:
            return _parsed(file, header, wanted, delimiter, threads=False)
        except pa.ArrowInvalid as error:
            raise UserError(f"{file}: {error}; the header has {len(header)} columns, {delimiter!r} apart") from error


def _parsed(file: Path, header: list[str], wanted: list[str], delimiter: str, *, threads: bool) -> pa.Table:
    return pacsv.read_csv(
        file,
        # the header is skipped and given again: there it is stripped of blanks and of a byte order mark
        read_options=pacsv.ReadOptions(column_names=header, skip_rows=1, use_threads=threads),
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), include_columns=wanted, strings_can_be_null=False
        ),
    )


def _read_json(file: Path, choose: Choose) -> Rows:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and error.lineno > 1:  # objects in lines, under the name .json
            return Rows(file, _columns(file, _lines(file), choose), "line", 1)
        raise UserError(f"{file} is damaged: {error.msg} at line {error.lineno}, column {error.colno}") from error
    if isinstance(content, dict):
        content = [{"path": path, **(e if isinstance(e, dict) else {"label": e})} for path, e in content.items()]
    if not isinstance(content, list):
        raise UserError(f"{file} holds a {type(content).__name__}; expected a list of objects or an object of paths")
    return Rows(file, _columns(file, content, choose), "entry", 1)


def _lines(file: Path) -> list[Any]:
    rows = []
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            try:
                rows.append(json.loads(line) if line.strip() else None)
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
            raise UserError(f"{file}, entry {position}: {row!r} is no object with a path and a label")
        names.update(dict.fromkeys(row))
    wanted = list(choose(list(names)))
    return pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in wanted})


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(_text(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
