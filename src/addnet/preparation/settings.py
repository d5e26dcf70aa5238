"""How preparation is done: on how many processes, where, and what is cut out of videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from addnet.faces.crops import CropSettings
from addnet.preparation.engine import run
from addnet.preparation.progress import progress_bar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Run(Protocol):
    """Calls a function for each task, wherever, and gives what it returns in any order."""

    def __call__(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        failed: Callable[[Task, str], Result],
        total: int,
        chunk: int,
    ) -> Iterable[Result]:
        """Does every task once.

        Args:
            function: Task → result; can be pickled.
            tasks: May be a generator.
            failed: Makes the result of a task over which a process died.
            total: How many tasks there are.
            chunk: Tasks a process gets at once.
        """


@dataclass(frozen=True)
class PrepareSettings:
    """What `configs/prepare/` says.

    Attributes:
        workers: Processes on this machine; None: all cores.
        scheduler: Address of a Dask scheduler, such as `tcp://host:8786`; None: this machine alone.
        wait: Waits for another process that writes the same index, instead of stopping.
        every: See `CropSettings`, as all that follow.
        frames: Frames of each video.
        policy: Whose faces.
        margin: Side of the crop over that of the face.
        size: Side of the crop in pixels.
        format: Of the files.
        quality: Of JPEG.
    """

    workers: int | None = None
    scheduler: str | None = None
    wait: bool = True
    every: int | None = None
    frames: int | None = 32
    policy: str = "largest"
    margin: float = 1.3
    size: int | None = None
    format: str = "jpg"
    quality: int = 95

    def __post_init__(self) -> None:
        self.crops()

    def crops(self) -> CropSettings:
        """What is cut out of videos.

        Raises:
            UserError: A value is out of range.
        """
        return CropSettings(self.every, self.frames, self.policy, self.margin, self.size, self.format, self.quality)

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        failed: Callable[[Task, str], Result],
        total: int,
        chunk: int,
    ) -> Iterator[Result]:
        """Does every task once, here or on the cluster, and shows how far it is; see `Run`."""
        few = total <= chunk and not self.scheduler
        workers = 0 if few or self.workers == 1 else self.workers
        results: Any = run(function, tasks, failed=failed, workers=workers, scheduler=self.scheduler, chunk=chunk)
        return iter(progress_bar(results, total)) if total else results
