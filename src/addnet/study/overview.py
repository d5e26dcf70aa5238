"""The overview of a study: finished and unfinished cells, and an estimate of the remaining time."""

from __future__ import annotations

import io
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from addnet.study.folders import State, StudyFolder, seconds_of
from addnet.study.plan import StudyCell
from addnet.sweeps.results import Result, read_result
from addnet.wording import count

_LEFT = ("open", "begun", "runs")


def overview(
    cells: Sequence[StudyCell], states: Mapping[StudyCell, State], folder: StudyFolder, *, size: DictConfig, n_jobs: int
) -> str:
    """Formats a table with a row per variant and the state of each seed, followed by the remaining work.

    Args:
        cells: The cells to list.
        states: The states of all cells.
        folder: The folder of the study.
        size: The `size` node of the config: number of training images, and seconds per image.
        n_jobs: Number of trainings at once.
    """
    seeds = sorted({cell.seed for cell in cells})
    table = Table(title=f"study, {size.name}")
    for column in ("sweep", "variant", *(f"seed {seed}" for seed in seeds)):
        table.add_column(column)
    rows: dict[tuple[str, str], dict[int, State]] = {}
    for cell in cells:
        rows.setdefault((cell.sweep, cell.variant), {})[cell.seed] = states[cell]
    for (sweep, variant), row in rows.items():
        table.add_row(sweep.removeprefix("study_"), variant, *(row.get(seed, "") for seed in seeds))
    stream = io.StringIO()
    Console(file=stream, width=100).print(table)
    hours = seconds_left(cells, states, folder, size=size) / 3600
    counted = Counter(states[cell] for cell in cells)
    numbers = [f"{counted[state]} {state}" for state in ("done", "failed", "changed")]
    if counted["kept"]:
        numbers.insert(1, f"{counted['kept']} kept, trained elsewhere")
    left = sum(states[cell] in _LEFT for cell in cells)
    lines = [f"{count(len(cells), 'cell')}: {', '.join(numbers)}, {left} left", f"in {folder.path}"]
    if left:
        at_once = f", {hours / n_jobs:.1f} h with n_jobs={n_jobs}" if n_jobs > 1 else ""
        lines.insert(1, f"about {hours:.1f} h of one core{at_once}")
    return stream.getvalue() + "\n".join(lines) + "\n"


def seconds_left(
    cells: Sequence[StudyCell], states: Mapping[StudyCell, State], folder: StudyFolder, *, size: DictConfig
) -> float:
    """Estimates the seconds that the unfinished cells take, from finished ones of the same network if possible."""
    rates: dict[str, list[float]] = {}  # network → seconds per image of each finished cell
    for cell in states:
        result = read_result(folder.of(cell)) if states[cell] == "done" else None
        if result and (seconds := seconds_of(folder.of(cell), result)):
            rates.setdefault(_network(cell), []).append(seconds / cell.work(size.images))
    known = [rate for of_network in rates.values() for rate in of_network]
    usual = statistics.median(known) if known else float(size.seconds_per_image)
    total = 0.0
    for cell in cells:
        if states[cell] in _LEFT:
            own = rates.get(_network(cell))
            whole = cell.work(size.images) * (statistics.median(own) if own else usual)
            spent = seconds_of(folder.of(cell), Result()) or 0.0 if states[cell] == "begun" else 0.0
            total += max(0.0, whole - spent)
    return total


def _network(cell: StudyCell) -> str:
    return str(cell.config["model"].get("backbone"))
