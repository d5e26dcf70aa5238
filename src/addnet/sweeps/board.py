"""A sweep under way, a line for each job that runs: how long it has run, and what it last said."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from addnet.untrusted.texts import shown
from addnet.wording import count

_TAIL = 4096  # bytes of a job's output that are looked at
_STYLING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class _Running:
    number: int
    told: str
    output: Path
    began: float


class Board:
    """Draws the jobs that run on a terminal; elsewhere it draws nothing, and the log tells of starts and ends.

    Args:
        total: Jobs of the sweep.
        console: Where it is drawn; default: stdout.
        clock: Seconds.
    """

    def __init__(
        self, total: int, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.ended = total, 0
        self.console = console or Console()
        self._clock, self._began = clock, clock()
        self._running: dict[int, _Running] = {}

    @property
    def is_drawn(self) -> bool:
        """Whether someone sees it."""
        return self.console.is_terminal

    def shown(self) -> AbstractContextManager[Any]:
        """While inside, the board is redrawn twice a second; it leaves nothing behind."""
        if not self.is_drawn:
            return nullcontext()
        return Live(get_renderable=self.__rich__, console=self.console, refresh_per_second=2, transient=True)

    def start(self, number: int, told: str, *, output: Path) -> None:
        """A job runs.

        Args:
            number: Of the job.
            told: What makes it differ from the others.
            output: The file it prints into.
        """
        self._running[number] = _Running(number, told, output, self._clock())

    def end(self, number: int) -> None:
        """It has ended, in whatever way."""
        self._running.pop(number, None)
        self.ended += 1

    def __rich__(self) -> Group:
        """A line for each job that runs, and how many there are; each within the terminal's width."""
        lines = Table.grid(padding=(0, 1), expand=True)
        lines.add_column(no_wrap=True)
        lines.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
        lines.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
        now = self._clock()
        for job in sorted(self._running.values(), key=lambda job: job.number):
            head = f"#{job.number} {_duration(now - job.began)}"
            lines.add_row(head, Text(shown(job.told)), Text(shown(last_line(job.output)) or "starts", style="dim"))
        share = f"{self.ended} of {count(self.total, 'job')} done, {_duration(now - self._began)}"
        return Group(lines, Text(share, style="bold"))


def last_line(file: Path) -> str:
    """The last line that isn't blank of what a job has printed; empty if it has printed nothing."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _TAIL))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    lines = [line.strip() for line in re.split(r"[\r\n]+", _STYLING.sub("", text))]
    return next((line for line in reversed(lines) if line), "")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
