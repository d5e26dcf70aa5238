"""Progress of many results: a bar on a terminal, and regular lines in the log elsewhere."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as BarTask
from rich.table import Column
from rich.text import Text

from addnet.untrusted.texts import shown
from addnet.wording import count

log = logging.getLogger(__name__)

T = TypeVar("T")

_MEMORY = 300.0  # seconds over which the speed is averaged: one video may take minutes
_LINE_EVERY = 30.0  # seconds


def show_progress(
    results: Iterable[T],
    total: int | None,
    *,
    outcome: Callable[[T], str],
    title: str,
    unit: str = "images",
    done: int = 0,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """Yields results and shows their number, the speed, the remaining time, and counts by outcome.

    On a terminal or in a notebook, a bar on stderr; elsewhere, a line in the log every 30 seconds and at the end.

    Args:
        results: The results.
        total: Expected number of results, including `done`; None if unknown.
        outcome: Returns the outcome under which a result is counted, such as the landmarker step that succeeded.
        title: Title of the bar and of the lines.
        unit: What the results are, for the speed.
        done: Number of results of an earlier call.
        console: Console for the bar; default: stderr.
        clock: Returns the time in seconds, for the log.
    """
    console, title = console or Console(stderr=True), shown(title)
    if console.is_terminal or console.is_jupyter:
        yield from _with_bar(results, total, outcome, title, unit, done, console)
    else:
        yield from _with_log(results, total, outcome, title, unit, done, clock)


def _with_bar(
    results: Iterable[T],
    total: int | None,
    outcome: Callable[[T], str],
    title: str,
    unit: str,
    done: int,
    console: Console,
) -> Iterator[T]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        _Speed(unit),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        _Counts(),
    )
    counts: Counter[str] = Counter()
    with Progress(*columns, console=console, speed_estimate_period=_MEMORY) as progress:
        task = progress.add_task(title, total=total, completed=done, counts="")
        for result in results:
            counts[outcome(result)] += 1
            progress.update(task, advance=1, counts=_listed(counts))
            yield result


def _with_log(
    results: Iterable[T],
    total: int | None,
    outcome: Callable[[T], str],
    title: str,
    unit: str,
    done: int,
    clock: Callable[[], float],
) -> Iterator[T]:
    counts: Counter[str] = Counter()
    began = logged = clock()
    for result in results:
        counts[outcome(result)] += 1
        now = clock()
        if now - logged >= _LINE_EVERY:
            logged = now
            log.info("%s: %s", title, _line(counts, total, unit, done, now - began))
        yield result
    if counts:
        log.info("%s: %s", title, _line(counts, total, unit, done, clock() - began))


def _line(counts: Counter[str], total: int | None, unit: str, done: int, seconds: float) -> str:
    new = counts.total()
    speed = new / seconds if seconds > 0 else 0.0
    number = count(total or done + new, unit.removesuffix("s"), unit)
    words = [f"{done + new} of {number}" if total else number, _per_time(speed, unit)]
    if total and speed and total > done + new:
        words.append(f"{_duration((total - done - new) / speed)} left")
    return ", ".join(word for word in words if word) + f" ({_listed(counts)})"


class _Counts(ProgressColumn):
    """Counts by outcome; on a narrow terminal, only this column is cut."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=False))  # columns that may wrap are shortened first

    def render(self, task: BarTask) -> Text:
        return Text(str(task.fields["counts"]), no_wrap=True, overflow="ellipsis")


class _Speed(ProgressColumn):
    """Results per second, or per minute if there is less than one per second."""

    def __init__(self, unit: str) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._unit = unit

    def render(self, task: BarTask) -> Text:
        return Text(_per_time(task.finished_speed or task.speed or 0.0, self._unit), style="progress.data.speed")


def _per_time(speed: float, unit: str) -> str:
    if not speed:
        return ""
    return f"{speed:.1f} {unit}/s" if speed >= 1 else f"{60 * speed:.1f} {unit}/min"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _listed(counts: Counter[str]) -> str:
    return " · ".join(f"{name} {number}" for name, number in counts.items())
