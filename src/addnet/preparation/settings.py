"""How preparation is done: on how many processes, where, and what is cut out of videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class PrepareSettings:
    """What `configs/prepare/` says.

    Attributes:
        workers: Processes on this machine; None: all cores.
        scheduler: Address of a Dask scheduler, such as `tcp://host:8786`; None: this machine alone.
        wait: Waits for another process that writes the same index, instead of stopping.
    """

    workers: int | None = None
    scheduler: str | None = None
    wait: bool = True

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task], total: int) -> Iterator[Result]:
        """Calls the function for each task and shows how far it is."""
        return map(function, tasks)
