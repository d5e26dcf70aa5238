"""Names and numbers in the form that both reports show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from addnet.evaluation.groups import FEWEST_VIDEOS
from addnet.evaluation.rates import UNDECIDED_OF, WRONG
from addnet.evaluation.report.document import TableCell
from addnet.evaluation.table import TABLE
from addnet.untrusted.texts import in_plot

NAMES = {name: metric.label for name, metric in TABLE.items()}
NAMES |= {f"{name}_calibrated": f"{metric.label}, calibrated" for name, metric in TABLE.items() if metric.of_rows}
NAMES |= {"paired_accuracy": "paired accuracy"} | {wrong: wrong.replace("_", " ") for wrong in (*WRONG, *UNDECIDED_OF)}
LEVEL_NAMES = {
    "frame": "images",
    "video": "videos, mean",
    "video_max": "videos, max",
    "video_confidence": "videos, by confidence",
}
NOTHING = "–"
TOO_FEW = f"fewer than {FEWEST_VIDEOS} videos"
_LONGEST = 30  # characters of a name in a legend


def number(value: float | None) -> str:
    """A number with four decimals; a dash for None."""
    return NOTHING if value is None else f"{value:.4f}"


def interval(found: Mapping[str, Any]) -> str:
    """`[low, high]` with three decimals; empty without an interval."""
    low, high = found.get("low"), found.get("high")
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def p_value(found: Mapping[str, Any]) -> str:
    """`p = 0.012`, or `p ≤ 0.002` if that is the bound for the number of resamples; empty without a p-value."""
    if found["p"] is None:
        return ""
    if found.get("p_at_most"):
        return f"p ≤ {found['p']:.2g}"
    return f"p = {found['p']:.3f}"


def value_cell(found: Mapping[str, Any], *, threshold: float | None = None) -> TableCell:
    """A value with its interval and its threshold."""
    at = "" if threshold is None or found["value"] is None else f"at {threshold:.4f}"
    return TableCell(number(found["value"]), small(interval(found), at))


def rate_cell(found: Mapping[str, Any] | None) -> TableCell:
    """An error rate with its interval and its counts; a dash if there are no rows of the class."""
    if found is None:
        return TableCell(NOTHING)
    counted = f"{found['count']:,} of {found['of']:,}"
    return TableCell(
        number(found["value"]),
        small(interval(found), counted if found["value"] is not None else f"{counted}: {TOO_FEW}"),
    )


def small(*lines: str) -> str:
    """Lines of small print, without empty ones."""
    return "\n".join(line for line in lines if line)


def spoken(found: Mapping[str, Any]) -> str:
    """A value with its interval, for a sentence."""
    return f"{number(found['value'])} {interval(found)}".strip()


def metric_name(name: str) -> str:
    """The label of a metric given as `balanced_accuracy/chosen` or `frame/auroc`."""
    return next((NAMES[part] for part in name.split("/") if part in NAMES), name)


def slug(*names: str) -> str:
    """A part of a file name: lower-case letters, digits and hyphens."""
    return "_".join(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "x" for name in names)


def legend(name: str) -> str:
    """A name shortened for a legend or a title, with `$` escaped so that it doesn't start a formula."""
    half = _LONGEST // 2
    short = name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"
    return in_plot(short)
