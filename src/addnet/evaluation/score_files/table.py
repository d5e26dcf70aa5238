"""Reads and checks the columns of one file of scores: CSV (comma, semicolon or tab) or Parquet, plain or gzipped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.untrusted.texts import shown

_PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", ".txt", *_PARQUET)
MOST_ROWS = 5_000_000  # rows of a file; each takes about 2 KB of memory until the report is written
_LARGEST_ZIPPED = 2**32  # bytes of a gzipped Parquet file once unpacked, which must be in memory to be opened
ABOUT = b"addnet"  # key in the metadata of Parquet under which evaluate describes its columns
_DELIMITERS = ",;\t"
_LABELS = {"0": 0, "real": 0, "false": 0, "0.0": 0, "1": 1, "fake": 1, "true": 1, "1.0": 1}
_FLAGS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
_NOTHING = ("", "na", "n/a", "nan", "null", "none", "-")  # cells that hold no score, in lower case


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a file.

    None for `path` to `face` uses the column of that name, if there is one.

    Attributes:
        scores: Columns of scores, one per detector; None is `score`, or the columns that `evaluate` wrote.
        label: 0 and 1, or real and fake.
        path: Path of the image.
        video: The video that the image is a frame of, with one label throughout; without it each row is its own video.
        group: The source of the video, the same for a real one and its fakes.
        dataset: The data set.
        method: How a fake was made.
        face: Whether a face was found.
        split_by: Further columns; the report has metrics for each of their values.
    """

    scores: Sequence[str] | None = None
    label: str = "label"
    path: str | None = None
    video: str | None = None
    group: str | None = None
    dataset: str | None = None
    method: str | None = None
    face: str | None = None
    split_by: Sequence[str] | None = None


class ScoreTable:
    """The requested columns of one file.

    Args:
        file: The file.
        table: Its columns.
        roles: Role of a column, such as `label` → its name.
        about: "scores" and "split_by": names of columns; "decisions": column of scores → its decision.
    """

    def __init__(self, file: Path, table: pa.Table, roles: Mapping[str, str], about: Mapping[str, Any]) -> None:
        self.file = file
        self.first_row = 1 if _kind(file) in _PARQUET else 2
        self.table = table
        self.roles = roles
        self.named: Sequence[str] = about["scores"]
        self.split_by: Sequence[str] = about["split_by"]
        self.decisions: Mapping[str, Any] = about["decisions"]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @classmethod
    def read(cls, file: Path, columns: Columns, *, most: int = MOST_ROWS) -> ScoreTable:
        """Reads the requested columns of a file.

        Args:
            file: The file.
            columns: Names of columns.
            most: Largest number of rows.

        Raises:
            UserError: It doesn't exist, can't be read, lacks a column or has too many rows.
        """
        if _kind(file) not in SUFFIXES:
            raise UserError(
                f"scores.file={file} doesn't have the suffix of a table; expected {', '.join(SUFFIXES)}, or one of "
                "these followed by .gz"
            )
        if not file.is_file():
            raise UserError(f"scores.file={file}: no such file")
        try:
            if _kind(file) in _PARQUET:
                return cls._of_parquet(file, columns, most)
            return cls._of_csv(file, columns, most)
        except (pa.ArrowException, OSError, EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise UserError(f"{file} can't be read: {shown(error)}") from error

    @classmethod
    def _of_parquet(cls, file: Path, columns: Columns, most: int) -> ScoreTable:
        with pq.ParquetFile(pa.BufferReader(_unpacked(file)) if _zipped(file) else file) as opened:
            _require_few(opened.metadata.num_rows, file, most)
            schema = opened.schema_arrow
            about = _about(file, (schema.metadata or {}).get(ABOUT))
            roles, about = _roles(file, schema.names, columns, about)
            table = opened.read(list(dict.fromkeys([*roles.values(), *about["scores"], *about["split_by"]])))
        return cls(file, table, roles, about)

    @classmethod
    def _of_csv(cls, file: Path, columns: Columns, most: int) -> ScoreTable:
        with gzip.open(file, "rt", encoding="utf-8-sig") if _zipped(file) else file.open(encoding="utf-8-sig") as text:
            line = text.readline()
        delimiter = max(_DELIMITERS, key=line.count)
        parse = pacsv.ParseOptions(delimiter=delimiter)
        names = pacsv.read_csv(pa.BufferReader(line.encode()), parse_options=parse).column_names if line.strip() else []
        roles, about = _roles(file, names, columns, {})
        wanted = list(dict.fromkeys([*roles.values(), *about["scores"], *about["split_by"]]))
        convert = pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=wanted, strings_can_be_null=False
        )
        with pacsv.open_csv(file, parse_options=parse, convert_options=convert) as stream:
            batches = []
            for batch in stream:
                batches.append(batch)
                _require_few(sum(map(len, batches)), file, most)
            table = pa.Table.from_batches(batches, schema=stream.schema)
        return cls(file, table, roles, about)

    def column(self, name: str) -> pa.Array:
        """A column as one array; dictionaries and large strings become plain strings."""
        values = self.table.column(name).combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        return values.cast(pa.string()) if pa.types.is_large_string(values.type) else values

    def texts(self, role: str, *, gaps: bool = False) -> pa.Array | None:
        """The column of a role as text; None if the file has none.

        Args:
            role: Such as `path`.
            gaps: Whether cells may be empty.

        Raises:
            UserError: A cell is empty, and `gaps` is False.
        """
        if role not in self.roles:
            return None
        texts = pc.fill_null(self.column(self.roles[role]).cast(pa.string()), "")
        if not gaps and (row := pc.index(texts, pa.scalar("")).as_py()) >= 0:
            raise UserError(f"{self.at(row)} has no {role} (column {shown(self.roles[role])!r})")
        return texts

    def at(self, row: int) -> str:
        """A row in words; rows of a text file are numbered as in a spreadsheet, where the header is row 1."""
        return f"{self.file}, row {row + self.first_row}"

    def labels(self) -> NDArray[np.int64]:
        """(N,) 0 real, 1 fake."""
        texts = self.texts("label")
        assert texts is not None, "_roles makes sure that every table has labels"
        numbers = numbered(texts)
        values = [_LABELS.get(value.strip().lower(), -1) for value in numbers.names]
        if -1 in values:
            wrong = values.index(-1)
            row = int(np.flatnonzero(numbers.numbers == wrong)[0])
            raise UserError(
                f"{self.at(row)}: {shown(numbers.names[wrong])!r} in column {shown(self.roles['label'])!r} is not a "
                "label; expected 0 or real, 1 or fake"
            )
        return np.asarray(values, dtype=np.int64)[numbers.numbers]

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Column → (N,) scores; NaN for a missing score."""
        return {name: self._scores(name) for name in self.named}

    def _scores(self, name: str) -> NDArray[np.float64]:
        values = self.column(name)
        if pa.types.is_string(values.type):
            values = pc.utf8_trim_whitespace(values)
            empty = pc.is_in(pc.utf8_lower(values), value_set=pa.array(_NOTHING))
            values = pc.if_else(empty, pa.scalar(None, pa.string()), values)
            values = self._cast(name, values)
        elif not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
            raise UserError(f"{self.file}: column {shown(name)!r} holds {values.type}; expected one number per row")
        scores: NDArray[np.float64] = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        if np.isinf(scores).any():
            row = int(np.flatnonzero(np.isinf(scores))[0])
            raise UserError(f"{self.at(row)}: {scores[row]} in column {shown(name)!r} is not a finite number")
        return scores

    def _cast(self, name: str, texts: pa.Array) -> pa.Array:
        try:
            return texts.cast(pa.float64())
        except pa.ArrowInvalid:
            for row, text in enumerate(texts.to_pylist()):
                if text is not None and not _is_number(text):
                    reason = f"{shown(text)!r} in column {shown(name)!r} is not a number"
                    raise UserError(f"{self.at(row)}: {reason}; leave the cell of a missing score empty") from None
            raise

    def keys(self, *, needed: bool = False) -> pa.Array | None:
        """The keys that identify rows: data set and path; None if paths aren't known.

        Raises:
            UserError: Two rows are of the same image, or paths are needed and not known.
        """
        paths, datasets = self.texts("path"), self.texts("dataset")
        if paths is None:
            if needed:
                raise UserError(
                    f"{self.file} has no column of paths, by which the rows of several files are joined; name it with "
                    f"scores.path; the file has {', '.join(map(shown, self.table.column_names))}"
                )
            return None
        keys = paths if datasets is None else pc.binary_join_element_wise(datasets, paths, "\0")
        codes = numbered(keys).numbers
        order = np.argsort(codes, kind="stable")
        twice = np.flatnonzero(np.diff(codes[order]) == 0)  # equal neighbours in sorted order
        if len(twice):
            row = int(order[twice[0] + 1])
            raise UserError(f"{self.at(row)}: {shown(paths[row])} occurs twice; give each image one row")
        return keys

    def kept(self, rows: NDArray[np.int64], paths: pa.Array, datasets: pa.Array) -> dict[str, Any]:
        """All columns but scores, for some rows: name → array; the columns of sub-groups are under "groups"."""
        labels = self.labels()
        groups = {name: pc.fill_null(self.column(name).cast(pa.string()), "") for name in self.split_by}
        if (methods := self.texts("method", gaps=True)) is not None:
            classes = pc.if_else(pa.array(labels == 1), "fake", "real")
            groups = {"method": pc.if_else(pc.equal(methods, ""), classes, methods)} | groups
        group, face = self.texts("group", gaps=True), self.texts("face")
        return {
            "labels": labels[rows],
            "paths": paths.take(rows),
            "datasets": datasets.take(rows),
            "videos": (self.texts("video") or paths).take(rows),
            "sources": None if group is None else group.take(rows),
            "faces": None if face is None else self._flags(face)[rows],
            "groups": {kind: names.take(rows) for kind, names in groups.items()},
        }

    def _flags(self, texts: pa.Array) -> NDArray[np.bool_]:
        numbers = numbered(texts)
        values = [_FLAGS.get(value.strip().lower()) for value in numbers.names]
        if None in values:
            wrong = values.index(None)
            row = int(np.flatnonzero(numbers.numbers == wrong)[0])
            raise UserError(f"{self.at(row)}: {shown(numbers.names[wrong])!r} is neither true nor false")
        return np.asarray(values, dtype=bool)[numbers.numbers]


@dataclass(frozen=True)
class TextCodes:
    """Texts as numbers: the (N,) number of each text, and the distinct texts in the order of first occurrence."""

    numbers: NDArray[np.int64]
    names: list[str]


def numbered(texts: pa.Array) -> TextCodes:
    """Numbers texts by first occurrence.

    Args:
        texts: (N,) texts without nulls.
    """
    coded = texts.dictionary_encode()
    return TextCodes(coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist())


def _kind(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix.lower()


def _zipped(file: Path) -> bool:
    return file.suffix.lower() == ".gz"


def _unpacked(file: Path) -> bytes:
    with gzip.open(file) as stream:
        data = stream.read(_LARGEST_ZIPPED + 1)
    if len(data) > _LARGEST_ZIPPED:
        raise UserError(
            f"{file} unpacks to more than {_LARGEST_ZIPPED >> 30} GiB; unpack it first and give the unpacked file"
        )
    return data


def _require_few(rows: int, file: Path, most: int) -> None:
    if rows > most:
        raise UserError(
            f"{file} has more than {most:,} rows, the limit that suits the memory of most machines (about 2 KB per "
            "row); give one data set at a time, or one row per video; scores.most=N allows N rows"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _about(file: Path, metadata: bytes | None) -> dict[str, Any]:
    """The description that `evaluate` wrote of the columns of its file; empty without one."""
    if metadata is None:
        return {}
    try:
        about = json.loads(metadata)
        return {
            "scores": [str(name) for name in about["scores"]],
            "split_by": [str(name) for name in about["split_by"]],
            "decisions": {str(name): entry for name, entry in about["decisions"].items()},
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file}: its metadata {ABOUT.decode()!r} is damaged; write its columns to a new file"
        ) from error


def _roles(
    file: Path, names: Sequence[str], columns: Columns, about: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Role → column, and the columns that hold scores.

    Raises:
        UserError: A column that is needed or named doesn't exist.
    """
    roles = {}
    for role in ("label", "path", "video", "group", "dataset", "method", "face"):
        column = getattr(columns, role)
        if column is not None:
            roles[role] = column
        elif role in names:
            roles[role] = role
    scores = list(columns.scores or about.get("scores") or ["score"])
    split_by = list(columns.split_by if columns.split_by is not None else about.get("split_by") or [])
    keys = {**{f"scores.{role}": name for role, name in roles.items()}}
    keys |= {f"scores.columns={name}": name for name in scores} | {f"scores.split_by={name}": name for name in split_by}
    for key, name in keys.items():
        if name not in names:
            raise UserError(
                f"{file} has no column {shown(name)!r} ({key.partition('=')[0]}); it has "
                f"{', '.join(map(shown, names)) or 'none'}"
            )
        if names.count(name) > 1:
            raise UserError(f"{file} has {names.count(name)} columns named {shown(name)!r}; rename them")
    if twice := next((name for name in scores if scores.count(name) > 1), ""):
        raise UserError(f"scores.columns names {shown(twice)!r} twice; name each column once")
    return roles, {"scores": scores, "split_by": split_by, "decisions": about.get("decisions", {})}
