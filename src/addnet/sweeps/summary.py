"""`summary.csv`, `summary.md` and `summary.png` of a sweep."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from addnet.sweeps.jobs import MISSING, SCORE, SweepJob, shown
from addnet.sweeps.table import ABLATION, SWEEP, Row, Table, make_table, metric_names


class Files(NamedTuple):
    """Where a summary is."""

    text: Path
    cells: Path
    plot: Path


def write_summary(jobs: Sequence[SweepJob], folder: Path, *, metric: str | None = None) -> Files:
    """Writes table, cells and plot of jobs into a folder.

    Args:
        jobs: From `read_sweep`, of one sweep or several.
        folder: Made if need be.
        metric: As in `make_table`.

    Raises:
        UserError: There are no jobs, or none has that figure.
    """
    from addnet.sweeps.plot import summary_figure  # matplotlib takes longer than all the rest

    table = make_table(jobs, metric=metric)
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "summary.md", folder / "summary.csv", folder / "summary.png")
    files.text.write_text(markdown(table), encoding="utf-8")
    write_cells(files.cells, table)
    summary_figure(table).savefig(files.plot, dpi=150)
    return files


def markdown(table: Table) -> str:
    """The table for people: a row for each combination of parameters, then what went wrong."""
    named = ", ".join(table.parameters) or "seed"
    compared = ABLATION in table.parameters
    head = [*table.parameters, f"{table.metric} ({'lower' if table.lower_is_better else 'higher'} is better)", "seeds"]
    head += ["difference to its reference"] * compared
    lines = [f"# Sweep over {named}", "", _caption(table), "", _line(head), _line("---" for _ in head)]
    for row in table.rows:
        mean = _spread(row.mean, row.sd) if row.finite or "nan" in row.lacking else MISSING
        cells = [*map(shown, row.parameters.values()), mean, _seeds(row)]
        lines.append(_line([*cells, *([_difference(row)] * compared)]))
    wrong = [job for job in table.jobs if job.status != "success"]
    if wrong:
        several = SWEEP in table.parameters or len({job.sweep for job in table.jobs}) > 1
        lines += ["", f"Without a result: {len(wrong)} of {len(table.jobs)} jobs.", ""]
        ended = [(job, job.result.in_a_line()) for job in wrong if job.result]
        lines += [f"- {_named(job, table, several=several)} {how}" for job, how in ended]
        if left := [job.number for job in wrong if not job.result]:
            lines.append(f"- not run to the end: {'job' if len(left) == 1 else 'jobs'} {', '.join(left)}")
    return "\n".join(lines) + "\n"


def write_cells(path: Path, table: Table) -> None:
    """The table for programs: a row for each job, with every figure it has."""
    several = len({job.sweep for job in table.jobs}) > 1
    keys = [key for key in table.parameters if key != SWEEP]
    figures = [name for name in metric_names(table.jobs) if name != SCORE]
    head = ["sweep"] * several + ["number", *keys, "seed", "status", "reason", SCORE, *figures, "seconds", "folder"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(head)
        for job in table.jobs:
            cells = [job.sweep] * several + [job.number, *(shown(job.value(key)) for key in keys), job.seed]
            seconds = job.result.seconds if job.result else None
            cells += [job.status, job.reason, *(_cell(job, name) for name in (SCORE, *figures))]
            rows.writerow([*cells, "" if seconds is None else seconds, job.folder])


def _caption(table: Table) -> str:
    numbers = f"{len(table.jobs)} {'job' if len(table.jobs) == 1 else 'jobs'}"
    text = f"Mean ± sample standard deviation over seeds; {numbers}."
    if ABLATION in table.parameters:
        text += " Differences are taken seed by seed."
    return text


def _line(cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"  # type: ignore[attr-defined]


def _spread(mean: float, sd: float, *, signed: bool = False) -> str:
    if not math.isfinite(mean):
        return "nan"
    text = f"{mean:+.4f}".replace("-", "−") if signed else f"{mean:.4f}".replace("-", "−")
    return f"{text} ± {sd:.4f}" if math.isfinite(sd) else text


def _seeds(row: Row) -> str:
    if not row.lacking:
        return str(len(row.jobs))
    lacking = ", ".join(f"{count} {status}" for status, count in row.lacking.items())
    return f"{len(row.finite)} of {len(row.jobs)} ({lacking})"


def _difference(row: Row) -> str:
    if row.is_reference:
        return "reference"
    if not row.finite:
        return MISSING
    if row.difference is None:
        return f"no seed in common with {row.reference}"
    mean, sd, better, seeds = row.difference
    return f"{_spread(mean, sd, signed=True)} to {row.reference} ({better}/{seeds} better)"


def _named(job: SweepJob, table: Table, *, several: bool) -> str:
    keys = [key for key in table.parameters if key != SWEEP]
    values = " ".join(f"{key}={shown(job.value(key))}" for key in [*keys, "seed"])
    return f"{f'{job.sweep}, ' if several else ''}job {job.number} (`{values}`)"


def _cell(job: SweepJob, name: str) -> str:
    if job.result is None or not (name in job.result.figures or (name == SCORE and job.result.score is not None)):
        return ""
    value = job.result.score if name == SCORE else job.result.figures[name]
    return repr(value)
