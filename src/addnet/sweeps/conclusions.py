"""The conclusions of a sweep in sentences: the row chosen by validation, its test metric, significant differences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from addnet.sweeps.intervals import CONFIDENCE, Estimate
from addnet.sweeps.jobs import value_text
from addnet.sweeps.table import HELD, SweepRow, SweepTable
from addnet.wording import count

_FEW = 5  # seeds below which an interval is mostly Student's t


def conclusion(table: SweepTable) -> list[str]:
    """Returns the conclusions that a table supports, one line each."""
    if table.ranks:
        return _chosen(table)
    return [*(_compared(table) if table.compares else []), *(_held_out(table) if HELD in table.parameters else [])]


def counted_seeds(seeds: Sequence[str]) -> str:
    """Lists seeds in words.

    Example:
        >>> counted_seeds(["0"]), counted_seeds(["0", "1"])
        ('seed 0', 'seeds 0, 1')
    """
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}"


def _chosen(table: SweepTable) -> list[str]:
    """States which row is the best by validation, and its test metric."""
    row = table.chosen
    if row is None:
        return [f"No row is chosen: no job has {table.metric}; the metrics that jobs do have are in summary.csv."]
    lines = []
    if len(table.rows) > 1:
        what = ", ".join(f"{key}={value_text(value)}" for key, value in row.parameters.items())
        equals = sum(other.rank == 1 for other in table.rows) - 1
        tied = f" ({equals} more {'is' if equals == 1 else 'are'} as good)" if equals else ""
        lines.append(
            f"Chosen by {table.metric}: {what}{tied}. The best of {len(table.rows)} is partly the best by chance."
        )
    if table.test is None:
        return [*lines, f"Its test result is unknown: no job has {table.test_metric or 'a test metric'}."]
    whose = "Its test result, reported only for this row and after the choice" if lines else "Test result"
    return [*lines, f"{whose}: {table.test_metric} {_interval(table.test, table.test_metric)}."]


def _compared(table: SweepTable) -> list[str]:
    """States how many comparisons were made, and which differences are significant after correction."""
    rows = table.comparisons
    if not rows:
        return ["There are no comparisons: no row has a seed in common with its reference."]
    significant = [row for row in rows if row.corrected < 1 - CONFIDENCE]
    number = count(len(rows), "comparison")
    if significant:
        remain = f"differences that remain significant after correction: {', '.join(map(_name, significant))}"
    elif all(math.isnan(row.corrected) for row in rows):
        remain = "no difference can be distinguished from chance: that takes at least two seeds"
    else:
        remain = "no difference can be distinguished from chance"
    lines = [f"{number}; {remain}."]
    first = next((row.difference for row in rows if row.difference and row.difference.seeds > 1), None)
    if first is not None:
        lines.append(f"Each interval is for one comparison, without correction: {_chances(first)}.")
        if min(row.difference.seeds for row in rows if row.difference) < _FEW:
            lines.append(f"With fewer than {_FEW} seeds, only large differences can be detected.")
    if table.metric.startswith("test/"):
        lines.append("These are test metrics: they compare settings named beforehand; don't choose a setting by them.")
    return lines


def _held_out(table: SweepTable) -> list[str]:
    """States mean and worst over the held-out methods, for each combination of the other parameters."""
    others: dict[str, list[SweepRow]] = {}
    for row in table.rows:
        rest = {key: value for key, value in row.parameters.items() if key != HELD}
        others.setdefault(" ".join(f"{key}={value_text(value)}" for key, value in rest.items()), []).append(row)
    lines = []
    for setting, rows in others.items():
        known = [row for row in rows if row.finite]
        start = f"{setting}: " if setting else ""
        if not known:
            lines.append(f"{start}no held-out method has {table.metric}.")
            continue
        worst = (max if table.lower_is_better else min)(known, key=lambda row: row.mean)
        share = f"{len(known)} of " if len(known) < len(rows) else ""
        lines.append(
            f"{start}{table.metric} over {share}{count(len(rows), 'held-out method')}: mean "
            f"{math.fsum(row.mean for row in known) / len(known):.4f}, worst {worst.mean:.4f} "
            f"({value_text(worst.parameters[HELD])})."
        )
    return lines


def _interval(estimate: Estimate, metric: str) -> str:
    half = estimate.half_width()
    if not math.isfinite(half):
        why = "one seed" if estimate.seeds == 1 else "all seeds give the same value"
        return f"{estimate.mean:.4f}, without an interval ({why})"
    low, high = estimate.mean - half, estimate.mean + half
    if not metric.endswith("loss"):  # a share
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{estimate.mean:.4f}, 95 % interval {low:.4f} to {high:.4f} ({_chances(estimate)})"


def _chances(estimate: Estimate) -> str:
    """Names the sources of chance that an interval covers."""
    videos = "including the sampling of test videos" if estimate.is_sampled else "for these test videos only"
    return f"t over {count(estimate.seeds, 'seed')}, {videos}"


def _name(row: SweepRow) -> str:
    return " ".join(value_text(value) for value in row.parameters.values())
