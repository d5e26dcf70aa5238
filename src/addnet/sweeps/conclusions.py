"""What may be said after a sweep, in sentences: which row validation chose, its test, and which differences remain."""

from __future__ import annotations

import math
from collections.abc import Sequence

from addnet.sweeps.intervals import CONFIDENCE, Estimate
from addnet.sweeps.jobs import value_text
from addnet.sweeps.table import HELD, SweepRow, SweepTable
from addnet.wording import count

_FEW = 5  # seeds below which an interval is mostly Student's t


def conclusion(table: SweepTable) -> list[str]:
    """One line a statement."""
    if table.ranks:
        return _chosen(table)
    return [*(_compared(table) if table.compares else []), *(_held_back(table) if HELD in table.parameters else [])]


def counted_seeds(seeds: Sequence[str]) -> str:
    """Seeds in words.

    Example:
        >>> counted_seeds(["0"]), counted_seeds(["0", "1"])
        ('seed 0', 'seeds 0, 1')
    """
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}"


def _chosen(table: SweepTable) -> list[str]:
    """Which row is the best by validation, and its test."""
    row = table.chosen
    if row is None:
        return [f"Nothing is chosen: no job has {table.metric}; what they have stands in summary.csv."]
    lines = []
    if len(table.rows) > 1:
        what = ", ".join(f"{key}={value_text(value)}" for key, value in row.parameters.items())
        equals = sum(other.rank == 1 for other in table.rows) - 1
        tied = f" ({equals} more {'is' if equals == 1 else 'are'} as good)" if equals else ""
        lines.append(f"Chosen by {table.metric}: {what}{tied}. The best of {len(table.rows)} is also the luckiest.")
    if table.test is None:
        return [*lines, f"Its test is not told: no job has {table.test_metric or 'a test metric'}."]
    whose = "Its test, told for this row alone and after the choice" if lines else "On test"
    return [*lines, f"{whose}: {table.test_metric} {_interval(table.test, table.test_metric)}."]


def _compared(table: SweepTable) -> list[str]:
    """How many comparisons there are, and which differences remain."""
    rows = table.comparisons
    if not rows:
        return ["Nothing is compared: no row has a seed in common with its reference."]
    found = [row for row in rows if row.corrected < 1 - CONFIDENCE]
    number = count(len(rows), "comparison")
    if found:
        remain = f"differences that remain after correction: {', '.join(map(_name, found))}"
    elif all(math.isnan(row.corrected) for row in rows):
        remain = "no difference can be told from chance: that takes at least two seeds"
    else:
        remain = "no difference can be told from chance"
    lines = [f"{number}; {remain}."]
    first = next((row.difference for row in rows if row.difference and row.difference.seeds > 1), None)
    if first is not None:
        lines.append(f"Intervals are each one's own: {_chances(first)}.")
        if min(row.difference.seeds for row in rows if row.difference) < _FEW:
            lines.append(f"With fewer than {_FEW} seeds only large differences can show.")
    if table.metric.startswith("test/"):
        lines.append("These are test metrics: they compare what was named beforehand, and choose no setting.")
    return lines


def _held_back(table: SweepTable) -> list[str]:
    """Mean and worst over the methods that were held back, for each setting of whatever else varies."""
    others: dict[str, list[SweepRow]] = {}
    for row in table.rows:
        rest = {key: value for key, value in row.parameters.items() if key != HELD}
        others.setdefault(" ".join(f"{key}={value_text(value)}" for key, value in rest.items()), []).append(row)
    lines = []
    for setting, rows in others.items():
        known = [row for row in rows if row.finite]
        start = f"{setting}: " if setting else ""
        if not known:
            lines.append(f"{start}no method has {table.metric}.")
            continue
        worst = (max if table.lower_is_better else min)(known, key=lambda row: row.mean)
        lacking = f" of {len(rows)}" if len(known) < len(rows) else ""
        lines.append(
            f"{start}{table.metric} over {count(len(known), 'method')}{lacking}, each never trained on: mean "
            f"{math.fsum(row.mean for row in known) / len(known):.4f}, worst {worst.mean:.4f} "
            f"({value_text(worst.parameters[HELD])})."
        )
    return lines


def _interval(found: Estimate, metric: str) -> str:
    half = found.half_width()
    if not math.isfinite(half):
        return f"{found.mean:.4f}, without an interval ({'one seed' if found.seeds == 1 else 'seeds agree exactly'})"
    low, high = found.mean - half, found.mean + half
    if not metric.endswith("loss"):  # a share
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{found.mean:.4f}, 95 % interval {low:.4f} to {high:.4f} ({_chances(found)})"


def _chances(found: Estimate) -> str:
    videos = "with the sampling of test videos" if found.is_sampled else "on these very videos, not for others"
    return f"t over {count(found.seeds, 'seed')}, {videos}"


def _name(row: SweepRow) -> str:
    return " ".join(value_text(value) for value in row.parameters.values())
