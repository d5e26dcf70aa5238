"""Writes the scores of an evaluation as Parquet, from which the report can be made again without network or images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from addnet.evaluation.score_files.table import ABOUT, Columns
from addnet.evaluation.scored import ScoredSet


def write_scores(
    file: Path, scored: Mapping[str, Mapping[str, ScoredSet]], decisions: Mapping[str, Mapping[str, Any] | None]
) -> Path:
    """Writes scores as Parquet, from which `read_scores` restores the same sets.

    Args:
        file: The file to write; an existing file is replaced.
        scored: Detector → data set → scores. The rows are those of the first detector; where another one has no score
            the cell is null.
        decisions: Detector → its decision, stored in the metadata of the file.

    Returns:
        The file.
    """
    first = next(iter(scored.values()))
    kinds = list(dict.fromkeys(kind for rows in first.values() for kind in rows.groups if kind != "method"))
    taken = {field.name for field in fields(Columns)}
    columns = {name: name if name not in (*taken, *kinds) else f"score of {name}" for name in scored}
    parts: dict[str, list[pa.Array]] = {}
    for dataset, rows in first.items():
        for name, values in _rows_of(dataset, rows, kinds).items():
            parts.setdefault(name, []).append(values)
        for name, column in columns.items():
            other = scored[name].get(dataset)
            parts.setdefault(column, []).append(_scores_of(other, rows))
    about = {
        "format": 1,
        "scores": list(columns.values()),
        "split_by": kinds,
        "decisions": {columns[name]: decision for name, decision in decisions.items()},
    }
    table = pa.table({name: pa.chunked_array(values) for name, values in parts.items()})
    pq.write_table(table.replace_schema_metadata({ABOUT: json.dumps(about)}), file, compression="zstd")
    return file


def _rows_of(dataset: str, rows: ScoredSet, kinds: Sequence[str]) -> dict[str, pa.Array]:
    total = len(rows)
    nothing = pa.nulls(total, pa.string())
    sources = None if rows.sources is None else pa.array([str(source) for source in rows.sources])
    groups = {kind: pa.array(rows.groups[kind]) if kind in rows.groups else nothing for kind in ("method", *kinds)}
    return {
        "dataset": pa.array([dataset] * total),
        "path": pa.array(list(map(str, rows.paths))),
        "video": pa.array(list(map(str, rows.video_ids))).take(pa.array(rows.videos)),
        "group": nothing if sources is None else sources.take(pa.array(rows.videos)),
        "label": pa.array(rows.labels, pa.int8()),
        "face": pa.array(np.ones(total, dtype=bool) if rows.faces is None else rows.faces),
        **groups,
    }


def _scores_of(other: ScoredSet | None, rows: ScoredSet) -> pa.Array:
    """The scores of one set in the order of the rows of another; null for a missing score."""
    if other is None:
        return pa.nulls(len(rows), pa.float64())
    where = pc.index_in(pa.array(list(map(str, rows.paths))), value_set=pa.array(list(map(str, other.paths))))
    return pa.array(other.probabilities).take(where)
