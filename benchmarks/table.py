"""What was measured, as a table, as JSON and as a chart."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measure import Ratio

_PREFIXES = (("G", 1e9), ("M", 1e6), ("", 1.0), ("m", 1e-3), ("µ", 1e-6))


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        number: Of the row in docs/performance.md.
        what: What is measured.
        against: What it is compared with.
        ratio: Ours over theirs, or theirs over ours, as `target` says.
        target: What is to be reached: `>=` or `<=` and a number; None: only shown.
        times: Seconds a call, by contender; or what else is measured.
        note: What has to be known about it.
        unit: Of the times: s or B.
        curve: The times are landmarks of a curve, the note is its title; their names begin with where they stand.
    """

    number: str
    what: str
    against: str
    ratio: Ratio
    target: tuple[str, float] | None
    times: dict[str, float] = field(default_factory=dict)
    note: str = ""
    unit: str = "s"
    curve: bool = False

    @property
    def passes(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        sign, bound = self.target
        return self.ratio.value >= bound if sign == ">=" else self.ratio.value <= bound


def machine() -> dict[str, Any]:
    """What the absolute times depend on."""
    import torch

    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    capability = torch.backends.cpu.get_cpu_capability()
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), "vectors": capability} | {
        "gpu": gpu,
        **versions,
    }


def show(rows: Sequence[Row]) -> None:
    """Prints the table: a line a row, its times and its note below."""
    print(f"\n{'#':<4} {'what':<44} {'against':<34} {'ratio':>7} {'middle half':>15} {'to reach':>9}")
    for row in rows:
        verdict = {True: "pass", False: "MISS", None: ""}[row.passes]
        half = f"{row.ratio.low:.3g} – {row.ratio.high:.3g}"
        reached = f"{row.ratio.value:>7.3g} {half:>15} {target(row):>9} {verdict}"
        print(f"{row.number:<4} {row.what:<44} {row.against:<34} {reached}")
        for line in (", ".join(f"{name} {quantity(value, row.unit)}" for name, value in row.times.items()), row.note):
            if line:
                print(f"     {line}")


def target(row: Row) -> str:
    """What is to be reached, in words."""
    return f"{row.target[0].replace('>=', '≥').replace('<=', '≤')} {row.target[1]:g}" if row.target else ""


def save(rows: Sequence[Row], folder: Path, *, name: str) -> Path:
    """Writes `<name>.json`, the chart `<name>.png` and, where there are curves, `<name>-growth.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    content = {"machine": machine(), "rows": [asdict(row) | {"passes": row.passes} for row in rows]}
    file.write_text(json.dumps(content, indent=1) + "\n")
    chart(rows, folder / f"{name}.png")
    curves(rows, folder / f"{name}-growth.png")
    return file


def chart(rows: Sequence[Row], file: Path) -> None:
    """Draws how far each ratio is on the right side of its target."""
    judged = [row for row in rows if row.target]
    if not judged or not importlib.util.find_spec("matplotlib"):
        return
    from matplotlib.figure import Figure

    metric = Figure(figsize=(10, 0.42 * len(judged) + 1.2), layout="constrained")
    axes = metric.subplots()
    for position, row in enumerate(reversed(judged)):
        sign, bound = row.target or ("", 1.0)
        ratio = row.ratio
        gain, *ends = (
            value / bound if sign == ">=" else bound / value for value in (ratio.value, ratio.low, ratio.high)
        )
        axes.barh(position, gain - 1, left=1, color="#009e73" if row.passes else "#d55e00", height=0.6)
        axes.plot(ends, [position] * 2, color="black", linewidth=1)
        words = f"{ratio.value:.3g} ({target(row)})"
        axes.text(max(gain, 1, *ends) * 1.04, position, words, va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 4, 8) if axes.get_xlim()[0] < tick < axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g} ×" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(judged)), [f"{row.number}  {row.what} / {row.against}" for row in reversed(judged)])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("times better than the target")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.2)
    metric.savefig(file, dpi=130)


def curves(rows: Sequence[Row], file: Path) -> None:
    """Draws the rows that are curves, one beside the other."""
    drawn = [row for row in rows if row.curve]
    if not drawn or not importlib.util.find_spec("matplotlib"):
        return
    from matplotlib.figure import Figure

    metric = Figure(figsize=(2.6 * len(drawn), 2.6), layout="constrained")
    for axes, row in zip(metric.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        at, words = zip(*(name.split(" ", 1) for name in row.times), strict=True)
        axes.plot(list(row.times.values()), marker="o", color="black")
        for position, value in enumerate(row.times.values()):
            words_at = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center", "fontsize": 8}
            axes.annotate(quantity(value, row.unit), (position, value), **words_at)
        axes.set_xticks(range(len(at)), at)
        axes.set_yticks([])
        axes.set_ylim(0, 1.3 * max(row.times.values()))
        axes.set_xlabel(words[0])
        axes.set_title(row.note, fontsize=9)
        axes.margins(x=0.2)
        axes.spines[["top", "right", "left"]].set_visible(False)
    metric.savefig(file, dpi=130)


def quantity(value: float, unit: str) -> str:
    """A number with its unit, three digits: `2.69 ms`."""
    prefix, size = next(((prefix, size) for prefix, size in _PREFIXES if value >= size), _PREFIXES[-1])
    return f"{value / size:.3g} {prefix}{unit}"


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []
