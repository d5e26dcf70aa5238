"""The names of a manifest's columns, and the labels and splits in them, in all common spellings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.data.layouts.manifest_rows import Rows
from addnet.data.layouts.options import typed
from addnet.errors import UserError, require_choice, suggestion
from addnet.index.records import CLASS_NAMES, FAKE, REAL
from addnet.untrusted.texts import CONTROL, shown

SYNONYMS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "video_path"),
    "label": ("label", "class", "is_fake", "fake"),
    "split": ("split", "set", "subset", "partition"),
    "video": ("video", "video_id", "clip", "clip_id", "sequence"),
    "group": ("group", "group_id", "source_video", "source", "original", "target", "target_id"),
    "dataset": ("dataset", "data_set"),
    "method": ("method", "manipulation", "manipulation_type"),
    "frame": ("frame", "frame_number", "frame_id", "frame_index"),
    "identity": ("identity", "identities", "person", "person_id", "actor", "actor_id"),
}
NEEDED = ("path", "label")
_REAL = ("0", "real", "original", "pristine", "genuine", "authentic", "reals", "originals", "bonafide", "unaltered")
_FAKE = ("1", "fake", "manipulated", "forged", "deepfake", "synthetic", "fakes", "deepfakes", "forgery", "tampered")
_MADE = ("altered", "generated", "spoof", "spoofed", "swap", "swaps", "swapped", "faceswap", "face2face")
LABELS = {
    **dict.fromkeys(_REAL, REAL),
    **dict.fromkeys((*_FAKE, *_MADE, "faceshifter", "neuraltextures"), FAKE),
}
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_WHOLE = re.compile(r"^(\d+)\.0+$")  # whole numbers of a column that had gaps
_ABSENT = r"^(?i:nan|none|null|<na>|n/a)$"
_TRUTH = {"false": REAL, "no": REAL, "true": FAKE, "yes": FAKE}  # only where the column's name contains "fake"


def chosen_columns(header: Sequence[str], columns: Mapping[str, str | None]) -> dict[str, str]:
    """Field → column of a manifest.

    Args:
        header: Names of the columns.
        columns: Field → column where the usual names do not fit; None: the manifest has no column for it.

    Raises:
        UserError: An unknown field or column, two columns with the same name, or no column for path or label.
    """
    for field in columns:
        require_choice("a field of data.options.columns", field, SYNONYMS)
    for field, name in columns.items():
        if name is not None and name not in header:
            raise UserError(
                f"data.options.columns.{field}={name!r}: no such column; choose from {shown(', '.join(header))}."
                f"{suggestion(name, header)}"
            )
    found = {field: name for field, name in columns.items() if name is not None}
    free = {name.lower(): name for name in header if name not in found.values()}
    for field, names in SYNONYMS.items():
        if field not in columns and (name := next((name for name in names if name in free), None)):
            found[field] = free[name]
    for name in found.values():
        if header.count(name) > 1:
            raise UserError(f"two columns are called {shown(name)!r} among {shown(', '.join(header))}; rename one")
    for field in NEEDED:
        if field not in found:
            raise UserError(
                f"no column for the {field} among {shown(', '.join(header)) or 'none'}; it is usually called "
                f"{', '.join(SYNONYMS[field])}{_named_otherwise(field, header, found)}"
            )
    return found


def read_labels(rows: Rows, column: str, words: Mapping[str, str | int]) -> NDArray[np.int8]:
    """(N,) classes of a manifest's rows.

    Args:
        rows: The manifest.
        column: Its column with labels.
        words: Text → `real` or `fake` where the usual words do not fit, such as `{"0": fake, "1": real}`; or the other
            way round, `real` or `fake` → text or texts; in quotes, any text is allowed.

    Raises:
        UserError: A text that is not known as a label, with its row.
    """
    meanings = LABELS | (_TRUTH if "fake" in column.lower() else {})
    for word, meaning in _one_by_one(words):
        name = require_choice(f"data.options.labels.{word}", meaning, CLASS_NAMES)
        meanings[str(word).strip().lower()] = CLASS_NAMES.index(name)
    return np.asarray(
        _translated(
            rows, column, meanings, lambda word: f"say what it means with {typed('labels', 'real', word)} (or fake)"
        ),
        dtype=np.int8,
    )


def read_splits(rows: Rows, column: str) -> NDArray[np.str_]:
    """(N,) `train`, `val` or `test` of a manifest's rows.

    Raises:
        UserError: Another text, with its row.
    """
    remedy = "correct it, or ignore this column with 'data.options.columns={split: null}'"
    return np.asarray(_translated(rows, column, SPLITS, lambda word: remedy), dtype=np.str_)


def texts(rows: Rows, column: str) -> pa.Array:
    """(N,) texts of a column, without surrounding blanks.

    Raises:
        UserError: One has control characters, which no table and no log can show; the message names its row.
    """
    values = pc.utf8_trim_whitespace(rows.table[column])
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    odd = np.flatnonzero(np.asarray(pc.match_substring_regex(values, CONTROL)))
    if len(odd):
        row = int(odd[0])
        raise UserError(f"{rows.file}, {rows.name(row)}: {column}={shown(values[row].as_py())} has control characters")
    return values


def present_texts(rows: Rows, column: str) -> pa.Array:
    """(N,) texts of a column, empty where they stand for a missing value, such as `nan`."""
    return pc.replace_substring_regex(texts(rows, column), _ABSENT, "")


def _one_by_one(words: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Pairs of text and class; a class may also be the key, with its texts as the value."""
    for key, value in words.items():
        if key in CLASS_NAMES and value not in CLASS_NAMES:
            yield from ((text, key) for text in (value if isinstance(value, (list, tuple)) else [value]))
        else:
            yield key, value


def _named_otherwise(field: str, header: Sequence[str], found: Mapping[str, str]) -> str:
    """The option that names the column of a field, with an unused column as the example."""
    free = [name for name in header if name not in found.values()]
    return f"; if it has another name, give it with {typed('columns', field, free[0])}" if free else ""


def _translated(rows: Rows, column: str, meanings: Mapping[str, Any], remedy: Callable[[str], str]) -> NDArray[Any]:
    # each distinct text is translated once; codes: (N,) position of a row's text among these
    words = pc.dictionary_encode(pc.utf8_lower(texts(rows, column)))
    known = [word if word in meanings else _WHOLE.sub(r"\1", word) for word in words.dictionary.to_pylist()]
    codes = np.asarray(words.indices)
    unknown = [position for position, word in enumerate(known) if word not in meanings]
    if unknown:
        where = np.flatnonzero(np.isin(codes, unknown))
        more = f" and in {len(where) - 1:,} more" if len(where) > 1 else ""
        value = rows.table[column][int(where[0])].as_py()
        raise UserError(
            f"{rows.file}, {rows.name(int(where[0]))}: {column}={value!r}{more}; expected one of: "
            f"{', '.join(meanings)} (in any case); {remedy(str(value))}"
        )
    translated: NDArray[Any] = np.asarray([meanings[word] for word in known])[codes]
    return translated
