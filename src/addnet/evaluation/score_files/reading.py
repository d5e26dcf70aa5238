"""Reads and joins files of scores: scored sets of each detector, on the rows that all of them scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.errors import UserError, require_choice
from addnet.evaluation.score_files.table import MOST_ROWS, Columns, ScoreTable, TextCodes, numbered
from addnet.evaluation.scored import SCALES, ScoredSet
from addnet.untrusted.texts import shown
from addnet.wording import count

DATASET = "scores"  # name of the data set if no column gives one


@dataclass(frozen=True)
class JoinedScores:
    """The scores of detectors on the rows that all of them scored.

    Attributes:
        scored: Detector → data set → scores.
        decisions: Detector → its decision, if a file of `evaluate` has one.
        missing: Data set, path (or number of the row) and detector of each missing score.
        rows: Number of rows, including those with missing scores.
    """

    scored: dict[str, dict[str, ScoredSet]]
    decisions: dict[str, dict[str, Any] | None]
    missing: list[tuple[str, str, str]]
    rows: int


def read_scores(
    files: Mapping[str, Path], columns: Columns | None = None, *, scale: str | None = None, most: int = MOST_ROWS
) -> JoinedScores:
    """Reads the scores of one or more detectors.

    Args:
        files: Name → file. Several files are joined by data set and path; all columns but scores are taken from the
            first.
        columns: Names of columns.
        scale: One of `addnet.evaluation.scored.SCALES`; None is `probability` for detectors whose scores all lie in
            [0, 1], otherwise `any`.
        most: Largest number of rows of a file.

    Raises:
        UserError: A file or a value in it isn't valid; the message names the file and the row.
    """
    columns = columns or Columns()
    if scale is not None:
        require_choice("scores.scale", scale, SCALES)
    if not isinstance(most, int) or most < 1:
        raise UserError(f"scores.most={most} must be a whole number of rows, at least 1")
    tables = [ScoreTable.read(file, columns, most=most) for file in files.values()]
    first = tables[0]
    keys, rows = first.keys(needed=len(tables) > 1), len(first)
    scores: dict[str, NDArray[np.float64]] = {}
    decisions: dict[str, dict[str, Any] | None] = {}
    for number, (name, table) in enumerate(zip(files, tables, strict=True)):
        where = np.arange(rows) if not number else _joined(first, keys, table)
        for column, values in table.scores().items():
            detector = _name_of(name, column, alone=len(table.named) == 1, only=len(tables) == 1)
            if detector in scores:
                raise UserError(f"two detectors would be called {shown(detector)!r}; rename a file or a column")
            scores[detector] = np.full(rows, np.nan)
            scores[detector][where[where >= 0]] = values[where >= 0]
            decisions[detector] = table.decisions.get(column)
    paths = first.texts("path") or pa.array([f"row {row + first.first_row}" for row in range(rows)])
    datasets = first.texts("dataset") or pa.array([DATASET] * rows)
    known = ~np.isnan(np.stack(list(scores.values())))
    _require_some(known, list(scores))
    missing = _missing(known, list(scores), paths, datasets)
    kept = first.kept(np.flatnonzero(known.all(axis=0)), paths, datasets)
    scored = {name: _sets(values[known.all(axis=0)], kept, scale=scale, name=name) for name, values in scores.items()}
    return JoinedScores(scored, decisions, missing, rows)


def _name_of(file: str, column: str, *, alone: bool, only: bool) -> str:
    if alone:
        return file if column == "score" or not only else column
    return column if only else f"{file}/{column}"


def _require_some(known: NDArray[np.bool_], names: Sequence[str]) -> None:
    for name, row in zip(names, known, strict=True):
        if not row.any():
            raise UserError(f"{shown(name)} has no score in any row; leave it out, or give a file with its scores")
    if not known.all(axis=0).any():
        raise UserError(f"no row has scores of all of {', '.join(map(shown, names))}; compare fewer detectors at once")


def _missing(
    known: NDArray[np.bool_], names: Sequence[str], paths: pa.Array, datasets: pa.Array
) -> list[tuple[str, str, str]]:
    return [
        (datasets[row].as_py(), paths[row].as_py(), name)
        for name, is_known in zip(names, known, strict=True)
        for row in np.flatnonzero(~is_known).tolist()
    ]


def told_of_missing(said: JoinedScores) -> str:
    """A sentence that counts the missing scores by detector; empty if none is missing."""
    if not said.missing:
        return ""
    by_detector: dict[str, int] = {}
    for _, _, name in said.missing:
        by_detector[name] = by_detector.get(name, 0) + 1
    named = ", ".join(f"{shown(name)} {number:,}" for name, number in by_detector.items())
    measured = sum(len(rows) for rows in next(iter(said.scored.values())).values())
    return (
        f"{count(len(said.missing), 'score is', 'scores are')} missing ({named}): evaluated on the {measured:,} of "
        f"{count(said.rows, 'row')} that all detectors scored"
    )


def _joined(first: ScoreTable, keys: pa.Array | None, other: ScoreTable) -> NDArray[np.int64]:
    """(N,) the row of the first file that each row of another file belongs to; -1 for none.

    Raises:
        UserError: The files disagree on a label, or have no row in common.
    """
    rows = pc.fill_null(pc.index_in(other.keys(needed=True), value_set=keys), -1)
    where: NDArray[np.int64] = np.asarray(rows, dtype=np.int64)
    if (where < 0).all():
        raise UserError(
            f"{other.file} and {first.file} have no image in common; write data sets and paths the same way in both"
        )
    mine, theirs = other.labels(), first.labels()
    different = np.flatnonzero((where >= 0) & (mine != theirs[where]))
    if len(different):
        row = int(different[0])
        raise UserError(
            f"{other.at(row)} and {first.at(int(where[row]))} are of the same image but have different labels"
        )
    return where


def _sets(
    scores: NDArray[np.float64], kept: Mapping[str, Any], *, scale: str | None, name: str
) -> dict[str, ScoredSet]:
    if scale is None:
        scale = "probability" if ((scores >= 0) & (scores <= 1)).all() else "any"
    elif scale == "probability" and (wrong := scores[(scores < 0) | (scores > 1)]).size:
        raise UserError(
            f"{wrong.size} of {len(scores)} scores of {shown(name)} aren't probabilities, the first is {wrong[0]}; "
            "use scores.scale=logit for log odds, or scores.scale=any for any numbers"
        )
    elif scale == "logit":
        scores, scale = np.exp(-np.logaddexp(0.0, -scores)), "probability"
    which = numbered(kept["datasets"])
    sets = {}
    for number, dataset in enumerate(which.names):
        rows = np.flatnonzero(which.numbers == number)
        sets[dataset] = _set_of(dataset, scores[rows], {key: _taken(part, rows) for key, part in kept.items()}, scale)
    return sets


def _taken(part: Any, rows: NDArray[np.int64]) -> Any:
    if part is None:
        return None
    if isinstance(part, Mapping):
        return {key: value.take(rows) for key, value in part.items()}
    return part.take(rows) if isinstance(part, pa.Array) else part[rows]


def _set_of(dataset: str, scores: NDArray[np.float64], kept: Mapping[str, Any], scale: str) -> ScoredSet:
    videos = numbered(kept["videos"])
    groups = {kind: names.to_pylist() for kind, names in kept["groups"].items()}
    return ScoredSet(
        dataset,
        scores,
        kept["labels"],
        videos.numbers,
        kept["paths"].to_pylist(),
        videos.names,
        {kind: names for kind, names in groups.items() if len(set(names)) > 1},
        kept["faces"],
        None if kept["sources"] is None else _by_video(dataset, kept["sources"], videos),
        scale,
    )


def _by_video(dataset: str, texts: pa.Array, videos: TextCodes) -> list[str] | None:
    """The group of each video; None if no video has one.

    Raises:
        UserError: A video is in two groups, or only some images have one.
    """
    groups = numbered(texts)
    if groups.names == [""]:
        return None
    if "" in groups.names:
        raise UserError(f"{shown(dataset)}: some images have no group; give every image one, or leave the column out")
    of_video = np.zeros(len(videos.names), dtype=np.int64)
    of_video[videos.numbers] = groups.numbers
    different = np.flatnonzero(of_video[videos.numbers] != groups.numbers)
    if len(different):
        video = shown(videos.names[videos.numbers[different[0]]])
        raise UserError(
            f"{shown(dataset)}: video {video!r} is in two groups; give all images of a video the same group"
        )
    return [groups.names[number] for number in of_video.tolist()]
