"""What was measured, as a table, as JSON and as a chart."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from measure import Ratio
from rich.console import Console
from rich.table import Table

_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        number: Of the row in docs/performance.md.
        what: What is measured.
        against: What it is compared with.
        ratio: Ours over theirs, or theirs over ours, as `target` says.
        target: What is to be reached: `>=` or `<=` and a number; None: only shown.
        times: Seconds a call, by contender.
        note: What has to be known about it.
    """

    number: str
    what: str
    against: str
    ratio: Ratio
    target: tuple[str, float] | None
    times: dict[str, float] = field(default_factory=dict)
    note: str = ""

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


def show(rows: Sequence[Row], console: Console | None = None) -> None:
    """Prints the table."""
    table = Table(title="measured in one run; ratios decide")
    for name in ("#", "what", "against", "times", "ratio", "target", ""):
        table.add_column(name)
    for row in rows:
        times = "\n".join(f"{name} {_time(value)}" for name, value in row.times.items())
        target = f"{row.target[0]} {row.target[1]:g}" if row.target else ""
        verdict = {True: "[green]pass", False: "[red]miss", None: ""}[row.passes]
        ratio = f"{row.ratio.value:.3g}\n({row.ratio.low:.3g}–{row.ratio.high:.3g})"
        table.add_row(row.number, row.what, row.against, times, ratio, target, verdict)
    (console or Console()).print(table)


def save(rows: Sequence[Row], folder: Path, *, name: str) -> Path:
    """Writes `<name>.json` and the chart `<name>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    content = {"machine": machine(), "rows": [asdict(row) | {"passes": row.passes} for row in rows]}
    file.write_text(json.dumps(content, indent=1) + "\n")
    chart(rows, folder / f"{name}.png")
    return file


def chart(rows: Sequence[Row], file: Path) -> None:
    """Draws how far each ratio is on the right side of its target."""
    from matplotlib.figure import Figure

    judged = [row for row in rows if row.target]
    figure = Figure(figsize=(9, 0.42 * len(judged) + 1.2), layout="constrained")
    axes = figure.subplots()
    for position, row in enumerate(reversed(judged)):
        sign, bound = row.target or ("", 1.0)
        gains = [
            value / bound if sign == ">=" else bound / value
            for value in (row.ratio.value, row.ratio.low, row.ratio.high)
        ]
        axes.barh(position, gains[0] - 1, left=1, color="#009e73" if row.passes else "#d55e00", height=0.6)
        axes.plot(gains[1:], [position] * 2, color="black", linewidth=1)
        axes.text(
            max(gains[0], 1) * 1.03, position, f"{row.ratio.value:.3g} ({sign} {bound:g})", va="center", fontsize=8
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(judged)), [f"{row.number} {row.what}" for row in reversed(judged)], fontsize=8)
    axes.set_xlabel("times better than the target")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.2)
    figure.savefig(file, dpi=130)


def _time(seconds: float) -> str:
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []
