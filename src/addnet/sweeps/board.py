"""Shows a running sweep: one line per running job, with its duration and its last line of output."""

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

_TAIL = 4096  # bytes at the end of a job's output that are read
_STYLING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class _Running:
    number: int
    settings: str
    output: Path
    began: float


class Board:
    """Displays the running jobs on a terminal; elsewhere it displays nothing, and the log has the starts and ends.

    Args:
        total: Number of jobs in the sweep.
        console: The console to draw on; default: stdout.
        clock: Returns the time in seconds.
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
        """Whether the console is a terminal, so that the board is displayed."""
        return self.console.is_terminal

    def shown(self) -> AbstractContextManager[Any]:
        """Redraws the board twice a second inside the block, and removes it afterwards."""
        if not self.is_drawn:
            return nullcontext()
        return Live(get_renderable=self.__rich__, console=self.console, refresh_per_second=2, transient=True)

    def start(self, number: int, told: str, *, output: Path) -> None:
        """Adds a job that has started.

        Args:
            number: Number of the job.
            told: The settings that distinguish it from the other jobs.
            output: The file that receives its output.
        """
        self._running[number] = _Running(number, told, output, self._clock())

    def end(self, number: int) -> None:
        """Removes a job that has ended, whether it succeeded or not."""
        self._running.pop(number, None)
        self.ended += 1

    def __rich__(self) -> Group:
        """One line per running job, cut to the terminal's width, and a line with the progress of the sweep."""
        lines = Table.grid(padding=(0, 1), expand=True)
        lines.add_column(no_wrap=True)
        lines.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
        lines.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
        now = self._clock()
        for job in sorted(self._running.values(), key=lambda job: job.number):
            head = f"#{job.number} {_duration(now - job.began)}"
            lines.add_row(head, Text(shown(job.settings)), Text(shown(last_line(job.output)) or "starts", style="dim"))
        share = f"{self.ended} of {count(self.total, 'job')} done, {_duration(now - self._began)}"
        return Group(lines, Text(share, style="bold"))


def last_line(file: Path) -> str:
    """Returns the last line of a job's output that isn't blank; an empty string if there is none."""
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
