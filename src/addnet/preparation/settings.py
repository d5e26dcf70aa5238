"""How preparation is done: on how many processes, where, and what is cut out of videos."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

from addnet.faces.crops import CropSettings
from addnet.preparation.engine import run
from addnet.untrusted.limits import MEMORY, SECONDS, Limits

Task = TypeVar("Task")
_WORTH_A_POOL = 4  # chunks; below, starting several processes takes longer than the work


class CountedResult(Protocol):
    """A result that says what it is counted as, such as `landmarker`, `no face` or `unusable`."""

    @property
    def outcome(self) -> str:
        """A word or two."""


Result = TypeVar("Result", bound=CountedResult)


class Run(Protocol):
    """Does tasks, wherever, and gives the results in any order."""

    def __call__(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        failed: Callable[[Task, str], Result],
        total: int,
        chunk: int,
        title: str,
        unit: str,
        start: Callable[[], object] | None,
    ) -> Generator[Result]:
        """Does every task once; closing the generator ends the work early.

        Args:
            function: Task → result; can be pickled.
            tasks: May be a generator.
            failed: Makes the result of a task over which a process died.
            total: How many tasks there are.
            chunk: Tasks a process gets at once.
            title: What is being done, for the progress bar.
            unit: What is counted.
            start: Called once in each process; what it raises ends the work.
        """


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(CropSettings):
    """What `configs/prepare/` says: what is cut out of videos, and how the work is done.

    Attributes:
        workers: Processes on this machine; None: all cores. 0: this process, where nothing bounds what a file takes.
        scheduler: Address of a Dask scheduler, such as `tcp://host:8786`; None: this machine alone.
        memory_gb: GB that opening one file may take; None: any.
        seconds: Of work on one file, see `Limits`; None: any.
        wait: Waits for another process that writes the same index, instead of stopping.
    """

    workers: int | None = None
    scheduler: str | None = None
    memory_gb: float | None = MEMORY / 2**30
    seconds: float | None = SECONDS
    wait: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.limits()

    def limits(self) -> Limits:
        """What each file may take.

        Raises:
            UserError: `memory_gb` or `seconds` is not a number above 0.
        """
        return Limits.of(memory_gb=self.memory_gb, seconds=self.seconds)

    def crops(self) -> CropSettings:
        """What is cut out of videos, alone."""
        return CropSettings(**{field.name: getattr(self, field.name) for field in fields(CropSettings)})

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        failed: Callable[[Task, str], Result],
        total: int,
        chunk: int,
        title: str,
        unit: str,
        start: Callable[[], object] | None,
    ) -> Generator[Result]:
        """Does every task once, here or on the cluster, and shows how far it is; see `Run`."""
        few = not self.scheduler and total < _WORTH_A_POOL * chunk
        workers = min(self.workers, 1) if few and self.workers is not None else 1 if few else self.workers
        where: dict[str, Any] = {"workers": workers, "scheduler": self.scheduler, "chunk": chunk, "start": start}
        where["limits"] = self.limits()
        if total:
            from addnet.progress import show_progress  # not where an index is all that is read

            results = run(function, tasks, failed=failed, **where)
            yield from show_progress(results, total, outcome=_outcome, title=title, unit=unit)


def _outcome(result: CountedResult) -> str:
    return result.outcome
