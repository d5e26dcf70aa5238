"""The plot of a sweep: the metric against the parameters that vary, with mean and spread over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from addnet.colours import SERIES as COLOURS
from addnet.sweeps.jobs import Value, value_text
from addnet.sweeps.table import ABLATION, SweepRow, SweepTable
from addnet.wording import count

FAINT = {"marker": "o", "linestyle": "none", "markersize": 3, "alpha": 0.45, "zorder": 2}
SOLID = {"marker": "o", "markersize": 6, "capsize": 3, "elinewidth": 1.2, "linewidth": 1.4, "zorder": 3}
LONGEST_LABEL = 34
MOST_LINES = 7


def summary_plot(table: SweepTable) -> Figure:
    """Plots a table.

    A numeric parameter is on the x axis (logarithmic over more than a decade), with a line for each value of a second
    parameter; names are on the y axis, with a colour for each value of a second parameter. With more than two
    parameters, each has its own panel, in which a dot is one combination of the others.
    """
    keys = table.parameters
    if len(keys) > 2:
        plot = _panels(table)
    else:
        numeric = sorted((key for key in keys if _is_numeric(table, key)), key=lambda key: -len(_values(table, key)))
        if numeric:
            plot = _lines(table, numeric[0], next((key for key in keys if key != numeric[0]), None))
        else:
            plot = _dots(table, keys)
    missing = sum(sum(row.lacking.values()) for row in table.rows)
    if missing:
        text = f"{missing} of {count(len(table.jobs), 'job')} without a metric"
        plot.supxlabel(text, fontsize="small", color="0.4", ha="right", x=0.99)
    return plot


def _lines(table: SweepTable, x: str, lines: str | None) -> Figure:
    """Plots the metric against a numeric parameter, with a line for each value of another parameter."""
    plot = Figure(figsize=(6.6 if lines else 5.4, 4), layout="constrained")
    axis = plot.subplots()
    names = _values(table, lines) if lines else [None]
    for at, name in enumerate(names):
        rows = [row for row in table.rows if lines is None or row.parameters[lines] == name]
        rows.sort(key=lambda row: row.parameters[x])
        label = None if name is None else _short(value_text(name))
        _line(axis, [(float(row.parameters[x]), row.finite) for row in rows], at=at, label=label)
    _scale(axis, [float(value) for value in _values(table, x)])
    axis.set(xlabel=x, ylabel=_metric(table, "\n"))
    axis.grid(axis="y", color="0.92")
    if lines:
        _legend(axis, lines, loc="center left", bbox_to_anchor=(1.01, 0.5), ncols=2 if len(names) > MOST_LINES else 1)
    return plot


def _line(
    axis: Any, points: Sequence[tuple[float, list[float]]], *, at: int, label: str | None, joined: bool = True
) -> None:
    """Draws means with error bars, and the values of single seeds behind them."""
    colour, style = COLOURS[at % len(COLOURS)], ("-", "--", ":")[at // len(COLOURS) % 3]
    some = [(x, metrics) for x, metrics in points if metrics]
    means = [statistics.fmean(metrics) for _, metrics in some]
    spreads = [_spread(metrics) for _, metrics in some]
    style = style if joined else "none"
    axis.errorbar([x for x, _ in some], means, spreads, label=label, color=colour, linestyle=style, **SOLID)
    for x, metrics in some:
        if len(metrics) > 1:
            axis.plot([x] * len(metrics), metrics, color=colour, **FAINT)


def _dots(table: SweepTable, keys: Sequence[str]) -> Figure:
    """Plots one row per name, from top to bottom, and the mean of an ablation's reference as a dashed line."""
    first = ABLATION if ABLATION in keys else keys[0] if keys else None
    second = next((key for key in keys if key != first), None)
    names: list[Value] = _values(table, first) if first else ["all jobs"]
    groups = _values(table, second) if second else [None]
    plot = Figure(figsize=(7, 1.5 + len(names) * max(0.38, 0.2 * len(groups))), layout="constrained")
    axis = plot.subplots()
    # groups are spread evenly over half of the distance between two names, around the position of the name
    offsets = [0.0] if len(groups) == 1 else [0.5 * (at / (len(groups) - 1) - 0.5) for at in range(len(groups))]
    for at, group in enumerate(groups):
        rows = [row for row in table.rows if second is None or row.parameters[second] == group]
        label = None if group is None else _short(value_text(group))
        _column(
            axis, rows, [names.index(row.parameters[first]) if first else 0 for row in rows], offsets[at], at, label
        )
    axis.set_yticks(range(len(names)), [_short(value_text(name)) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set(xlabel=_metric(table), ylabel=first or "")
    axis.grid(axis="x", color="0.92")
    axis.spines[["top", "right"]].set_visible(False)
    if second or any(row.is_reference and row.finite for row in table.rows):
        _legend(axis, second, loc="upper left", bbox_to_anchor=(1.01, 1))
    return plot


def _legend(axis: Any, title: str | None, **place: Any) -> None:
    """Places the legend outside the axes, where it covers no data."""
    axis.legend(title=title, fontsize="small", title_fontsize="small", frameon=False, **place)


def _column(
    axis: Any, rows: Sequence[SweepRow], places: Sequence[int], offset: float, at: int, label: str | None
) -> None:
    colour, style = COLOURS[at % len(COLOURS)], SOLID | {"marker": "os^"[at // len(COLOURS) % 3]}
    for row, place in zip(rows, places, strict=True):
        y = place + offset
        if not row.finite:
            axis.annotate(
                "no metric", (0.01, y), xycoords=("axes fraction", "data"), va="center", color="0.4", fontsize="small"
            )
            continue
        axis.errorbar(row.mean, y, xerr=_spread(row.finite), color=colour, label=label, **style)
        label = None  # one entry per group in the legend
        if len(row.finite) > 1:
            axis.plot(row.finite, [y] * len(row.finite), color=colour, **FAINT)
        if row.is_reference:
            name = value_text(row.parameters[ABLATION])
            axis.axvline(
                row.mean, color=colour, linestyle="--", linewidth=1, label=None if at else f"mean of {name}", zorder=1
            )


def _panels(table: SweepTable) -> Figure:
    """Plots a panel for each parameter, averaged over the others."""
    columns = min(3, len(table.parameters))
    lines = math.ceil(len(table.parameters) / columns)
    plot = Figure(figsize=(3.9 * columns, 3.4 * lines), layout="constrained")
    axes = plot.subplots(lines, columns, sharey=True, squeeze=False).flat
    for at, (axis, key) in enumerate(zip(axes, table.parameters, strict=False)):
        names = _values(table, key)
        numeric = _is_numeric(table, key)
        places = [float(name) for name in names] if numeric else [float(place) for place in range(len(names))]
        means = [[row.mean for row in table.rows if row.finite and row.parameters[key] == name] for name in names]
        _line(axis, list(zip(places, means, strict=True)), at=0, label=None, joined=numeric)
        if numeric:
            _scale(axis, places)
        else:
            labels = [_short(value_text(name)) for name in names]
            crowded = sum(map(len, labels)) > 30
            axis.set_xticks(places, labels, **({"rotation": 30, "ha": "right"} if crowded else {}))
            axis.set_xlim(-0.5, len(names) - 0.5)
        axis.set_xlabel(key)
        axis.grid(axis="y", color="0.92")
        if at % columns == 0:
            axis.set_ylabel(_metric(table, "\n"))
    for axis in plot.axes[len(table.parameters) :]:
        axis.remove()
    plot.suptitle("mean and standard deviation over all other settings", fontsize="medium", color="0.4")
    return plot


def _scale(axis: Any, values: Sequence[float]) -> None:
    """Sets ticks at the values if there are only a few, and a logarithmic scale over more than a decade."""
    values = sorted(set(values))
    if values[0] > 0 and values[-1] > 10 * values[0]:
        axis.set_xscale("log")
    if len(values) <= 6:
        axis.xaxis.set_major_locator(FixedLocator(list(values)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xticklabels([value_text(value) for value in values])
    elif all(value.is_integer() for value in values) and axis.get_xscale() == "linear":
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.margins(x=0.08)


def _values(table: SweepTable, key: str) -> list[Value]:
    values = list(dict.fromkeys(row.parameters[key] for row in table.rows))
    return sorted(values) if all(isinstance(value, float) for value in values) else values


def _is_numeric(table: SweepTable, key: str) -> bool:
    return key != ABLATION and all(isinstance(row.parameters[key], float) for row in table.rows)


def _spread(metrics: Sequence[float]) -> float:
    return statistics.stdev(metrics) if len(metrics) > 1 else 0.0


def _metric(table: SweepTable, between: str = " ") -> str:
    return f"{table.metric}{between}({'lower' if table.lower_is_better else 'higher'} is better)"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
