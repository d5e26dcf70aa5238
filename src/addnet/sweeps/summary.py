"""Writes `summary.csv`, `summary.md` and `summary.png` of a sweep."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from addnet.sweeps.conclusions import conclusion, counted_seeds
from addnet.sweeps.crossed import crossed
from addnet.sweeps.jobs import MISSING, SCORE, SweepJob, value_text
from addnet.sweeps.table import SWEEP, SweepRow, SweepTable, make_table, metric_names
from addnet.untrusted.texts import in_markdown, in_markdown_code
from addnet.wording import count


class Files(NamedTuple):
    """The paths of a summary's files."""

    text: Path
    cells: Path
    plot: Path


def write_summary(jobs: Sequence[SweepJob], folder: Path, *, metric: str | None = None) -> Files:
    """Writes the table of jobs as Markdown, CSV and a plot into a folder.

    Args:
        jobs: Jobs from `read_sweep`, of one or more sweeps.
        folder: Output folder; created if necessary.
        metric: Name of the metric; see `make_table`.

    Raises:
        UserError: There are no jobs, or no job has this metric.
    """
    from addnet.sweeps.plot import summary_plot  # importing matplotlib takes longer than everything else

    table = make_table(jobs, metric=metric)
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "summary.md", folder / "summary.csv", folder / "summary.png")
    files.text.write_text(markdown(table), encoding="utf-8")
    write_cells(files.cells, table)
    summary_plot(table).savefig(files.plot, dpi=150)
    return files


def markdown(table: SweepTable) -> str:
    """Formats a table as Markdown: a row per combination of parameters, the conclusions, and the jobs that failed."""
    named = ", ".join(table.parameters) or "seed"
    sentences = map(in_markdown, conclusion(table))
    lines = [f"# Sweep over {in_markdown(named)}", "", _caption(table), "", *_cells(table), "", *sentences]
    if by_set := crossed(table):
        head, *rows = by_set
        lines += ["", "By test data set; no setting was chosen by these values:", ""]
        lines += [_line(map(in_markdown, head)), _line("---" for _ in head)]
        lines += [_line(map(in_markdown, cells)) for cells in rows]
    failed = [job for job in table.jobs if job.status != "success"]
    if failed:
        several = SWEEP in table.parameters or len({job.sweep for job in table.jobs}) > 1
        lines += ["", f"Without a result: {len(failed)} of {count(len(table.jobs), 'job')}.", ""]
        ended = [(job, job.result.in_a_line()) for job in failed if job.result]
        lines += [f"- {_named(job, table, several=several)} {in_markdown(how)}" for job, how in ended]
        if left := [job.number for job in failed if not job.result]:
            lines.append(f"- not finished: {'job' if len(left) == 1 else 'jobs'} {in_markdown(', '.join(left))}")
    return "\n".join(lines) + "\n"


def _cells(table: SweepTable) -> list[str]:
    """Returns the header and the rows of the table in Markdown."""
    compared, ranked = table.compares, table.ranks and len(table.rows) > 1
    head = [*table.parameters, f"{table.metric} ({'lower' if table.lower_is_better else 'higher'} is better)", "seeds"]
    head += ["difference to its reference", "p"] if compared else ["rank"] * ranked
    lines = [_line(map(in_markdown, head)), _line("---" for _ in head)]
    for row in table.rows:
        mean = _spread(row.mean, row.sd) if row.finite or "nan" in row.lacking else MISSING
        cells = [*map(value_text, row.parameters.values()), mean, _seeds(row)]
        if compared:
            cells += [_difference(row, table), f"{row.corrected:.2g}" if math.isfinite(row.corrected) else MISSING]
        elif ranked:
            cells.append(MISSING if row.rank is None else str(row.rank))
        lines.append(_line(map(in_markdown, cells)))
    return lines


def write_cells(path: Path, table: SweepTable) -> None:
    """Writes the table for programs (CSV): a row per job, with all its metrics."""
    several = len({job.sweep for job in table.jobs}) > 1
    keys = [key for key in table.parameters if key != SWEEP]
    metrics = [name for name in metric_names(table.jobs) if name != SCORE]
    head = ["sweep"] * several + ["number", *keys, "seed", "status", "reason", SCORE, *metrics, "seconds", "folder"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(head)
        for job in table.jobs:
            cells = [job.sweep] * several + [job.number, *(value_text(job.value(key)) for key in keys), job.seed]
            seconds = job.result.seconds if job.result else None
            cells += [job.status, job.reason, *(_cell(job, name) for name in (SCORE, *metrics))]
            rows.writerow([*cells, "" if seconds is None else seconds, job.folder])


def _caption(table: SweepTable) -> str:
    text = f"Mean ± sample standard deviation over seeds; {count(len(table.jobs), 'job')}."
    if table.compares:
        text += " Differences are paired by seed, with 95 % intervals; p is corrected for all comparisons (Holm)."
    if any(row.by_seed and set(row.by_seed) != set(table.seeds) for row in table.rows):
        if table.seeds:
            text += f" Rows are compared over {counted_seeds(table.seeds)}"
        else:
            text += " Rows can't be compared: they have no seed in common"
        incomplete = any(row.finite and not row.is_compared for row in table.rows)
        text += "; means of rows that lack one are over their own seeds and not comparable." if incomplete else "."
    return text


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(mean: float, sd: float) -> str:
    if not math.isfinite(mean):
        return "nan"
    text = f"{mean:.4f}".replace("-", "−")
    return f"{text} ± {sd:.4f}" if math.isfinite(sd) else text


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _seeds(row: SweepRow) -> str:
    have, ordered = len(row.by_seed), len(row.seeds)
    notes = [f"{number} {status}" for status, number in row.lacking.items()]
    if len(row.jobs) > ordered:
        notes.append(count(len(row.jobs), "job"))
    text = f"{have} of {ordered}" if row.lacking else str(have)
    return f"{text} ({', '.join(notes)})" if notes else text


def _difference(row: SweepRow, table: SweepTable) -> str:
    if row.is_reference:
        return "reference"
    if not row.by_seed:
        return MISSING
    if row.difference is None:
        return f"no seed in common with {row.reference}"
    difference = row.difference
    mean, half = difference.mean, difference.half_width()
    interval = f" [{_signed(mean - half)}, {_signed(mean + half)}]" if math.isfinite(half) else ""
    over = f", {count(difference.seeds, 'seed')}" if difference.seeds != len(table.seeds) else ""
    return f"{_signed(mean)}{interval} to {row.reference}{over}"


def _named(job: SweepJob, table: SweepTable, *, several: bool) -> str:
    keys = [key for key in table.parameters if key != SWEEP]
    values = " ".join(f"{key}={value_text(job.value(key))}" for key in [*keys, "seed"])
    return f"{f'{in_markdown(job.sweep)}, ' if several else ''}job {job.number} ({in_markdown_code(values)})"


def _cell(job: SweepJob, name: str) -> str:
    if job.result is None or not (name in job.result.metrics or (name == SCORE and job.result.score is not None)):
        return ""
    value = job.result.score if name == SCORE else job.result.metrics[name]
    return repr(value)
