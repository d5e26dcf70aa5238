"""Settings of preparation: the number of processes, where they run, and which faces are cropped from videos."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

from addnet.faces.crops import CropSettings
from addnet.preparation.engine import run
from addnet.untrusted.limits import MEMORY, SECONDS, Limits

Task = TypeVar("Task")
_WORTH_A_POOL = 4  # chunks; with fewer, starting several processes takes longer than the work


class CountedResult(Protocol):
    """A result with the name under which it is counted, such as `detector`, `no face` or `unusable`."""

    @property
    def outcome(self) -> str:
        """One or two words for the progress bar."""


Result = TypeVar("Result", bound=CountedResult)


class Run(Protocol):
    """Runs tasks, on this machine or elsewhere, and yields the results in any order."""

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
        """Runs every task once; closing the generator ends the work early.

        Args:
            function: Task → result; must be picklable.
            tasks: The tasks; may be a generator.
            failed: Makes the result of a task over which a process died.
            total: Number of tasks.
            chunk: Number of tasks that a process gets at a time.
            title: Name of the work, for the progress bar.
            unit: Plural noun for the tasks, such as `images`.
            start: Called once in each process; an exception that it raises ends the work.
        """


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(CropSettings):
    """The settings of `configs/prepare/`: which faces are cropped from videos, and how the work is run.

    Attributes:
        workers: Processes on this machine; None: all cores. 0: this process, where no limit applies to a file.
        scheduler: Address of a Dask scheduler, such as `tcp://host:8786`; None: only this machine.
        memory_gb: Most memory in GB that opening one file may take; None: no limit.
        seconds: Most seconds of work on one file, see `Limits`; None: no limit.
        wait: Waits for another process that is writing the same index, instead of stopping.
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
        """The limits for each file.

        Raises:
            UserError: `memory_gb` or `seconds` is not a number above 0.
        """
        return Limits.of(memory_gb=self.memory_gb, seconds=self.seconds)

    def crops(self) -> CropSettings:
        """Only the settings of how faces are cropped from videos."""
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
        """Runs every task once, here or on the cluster, and shows the progress; see `Run`."""
        few = not self.scheduler and total < _WORTH_A_POOL * chunk
        workers = min(self.workers, 1) if few and self.workers is not None else 1 if few else self.workers
        where: dict[str, Any] = {"workers": workers, "scheduler": self.scheduler, "chunk": chunk, "start": start}
        where["limits"] = self.limits()
        if total:
            from addnet.progress import show_progress  # only here: reading an index doesn't need it

            results = run(function, tasks, failed=failed, **where)
            yield from show_progress(results, total, outcome=_outcome, title=title, unit=unit)


def _outcome(result: CountedResult) -> str:
    return result.outcome
