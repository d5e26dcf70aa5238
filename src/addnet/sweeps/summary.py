"""`summary.csv`, `summary.md` and `summary.png` of a sweep."""

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
        UserError: There are no jobs, or none has that metric.
    """
    from addnet.sweeps.plot import summary_plot  # matplotlib takes longer than all the rest

    table = make_table(jobs, metric=metric)
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "summary.md", folder / "summary.csv", folder / "summary.png")
    files.text.write_text(markdown(table), encoding="utf-8")
    write_cells(files.cells, table)
    summary_plot(table).savefig(files.plot, dpi=150)
    return files


def markdown(table: SweepTable) -> str:
    """The table for people: a row for each combination of parameters, then what follows, and what went wrong."""
    named = ", ".join(table.parameters) or "seed"
    told = map(in_markdown, conclusion(table))
    lines = [f"# Sweep over {in_markdown(named)}", "", _caption(table), "", *_cells(table), "", *told]
    if by_set := crossed(table):
        head, *rows = by_set
        lines += ["", "By data set, each tested on all of them; no setting was chosen by it:", ""]
        lines += [_line(map(in_markdown, head)), _line("---" for _ in head)]
        lines += [_line(map(in_markdown, cells)) for cells in rows]
    wrong = [job for job in table.jobs if job.status != "success"]
    if wrong:
        several = SWEEP in table.parameters or len({job.sweep for job in table.jobs}) > 1
        lines += ["", f"Without a result: {len(wrong)} of {count(len(table.jobs), 'job')}.", ""]
        ended = [(job, job.result.in_a_line()) for job in wrong if job.result]
        lines += [f"- {_named(job, table, several=several)} {in_markdown(how)}" for job, how in ended]
        if left := [job.number for job in wrong if not job.result]:
            lines.append(f"- not run to the end: {'job' if len(left) == 1 else 'jobs'} {in_markdown(', '.join(left))}")
    return "\n".join(lines) + "\n"


def _cells(table: SweepTable) -> list[str]:
    """The rows of the table, and its head."""
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
    """The table for programs: a row for each job, with every metric it has."""
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
        text += " Differences are taken seed by seed, with 95 % intervals; p is corrected for all comparisons (Holm)."
    if any(row.by_seed and set(row.by_seed) != set(table.seeds) for row in table.rows):
        text += f" Rows are compared over {counted_seeds(table.seeds) if table.seeds else 'nothing: no seed is common'}"
        lacking = any(row.finite and not row.is_compared for row in table.rows)
        text += "; means of rows that lack one are over their own seeds and not comparable." if lacking else "."
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
    found = row.difference
    half = found.half_width()
    interval = f" [{_signed(found.mean - half)}, {_signed(found.mean + half)}]" if math.isfinite(half) else ""
    over = f", {count(found.seeds, 'seed')}" if found.seeds != len(table.seeds) else ""
    return f"{_signed(found.mean)}{interval} to {row.reference}{over}"


def _named(job: SweepJob, table: SweepTable, *, several: bool) -> str:
    keys = [key for key in table.parameters if key != SWEEP]
    values = " ".join(f"{key}={value_text(job.value(key))}" for key in [*keys, "seed"])
    return f"{f'{in_markdown(job.sweep)}, ' if several else ''}job {job.number} ({in_markdown_code(values)})"


def _cell(job: SweepJob, name: str) -> str:
    if job.result is None or not (name in job.result.metrics or (name == SCORE and job.result.score is not None)):
        return ""
    value = job.result.score if name == SCORE else job.result.metrics[name]
    return repr(value)
