"""The folder of a study: the run folders of its cells, their states and their locks."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import OmegaConf

from addnet.study.plan import StudyCell
from addnet.study.recipe import alike, recipe
from addnet.sweeps.results import Result, read_result
from addnet.sweeps.resume import cut_short

State = Literal["done", "kept", "runs", "begun", "failed", "changed", "open"]

_LOCK, _PIECES = "cell.lock", "pieces.txt"


@dataclass(frozen=True)
class StudyFolder:
    """The folder in which the cells of a study are trained.

    Attributes:
        path: The folder; it contains a run folder for each cell.
    """

    path: Path

    def of(self, cell: StudyCell) -> Path:
        """Returns the run folder of a cell."""
        return self.path / cell.name

    def state(self, cell: StudyCell) -> State:
        """Returns the state of a cell, judged by its run folder alone.

        `begun`: it was interrupted and continues from its last checkpoint. `changed`: it was trained with a different
        config. `runs`: a process is training it, started by this command or by one that has ended since. The state
        `kept`, trained elsewhere, is never returned here, since only the results show it.
        """
        folder = self.of(cell)
        result = read_result(folder)
        if is_locked(folder):
            return "runs"
        if self.is_changed(cell):
            return "changed"
        if result and result.status == "success":
            return "done"
        if cut_short(result):
            return "begun" if (folder / "checkpoints" / "last.ckpt").is_file() else "open"
        return "failed"

    def is_changed(self, cell: StudyCell) -> bool:
        """Returns whether the run folder of a cell was trained with a different config."""
        file = self.of(cell) / "config.yaml"
        return file.is_file() and not alike(run_recipe(file), recipe(cell.config))


def run_recipe(file: Path) -> dict[str, object]:
    """Reads the recipe from the `config.yaml` of a run folder."""
    return recipe(OmegaConf.to_container(OmegaConf.load(file), resolve=False))  # type: ignore[arg-type]


def lock(folder: Path) -> int | None:
    """Locks a cell; None if another process holds the lock.

    The lock belongs to the descriptor, and a process that inherits the descriptor holds the lock too: a cell whose
    driver was killed stays locked as long as its training runs.

    Returns:
        A descriptor, to be inherited by the training and closed here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(folder: Path) -> bool:
    """Returns whether a process holds the lock of a cell."""
    if not (folder / _LOCK).is_file():
        return False
    descriptor = lock(folder)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def note_piece(folder: Path, seconds: float) -> None:
    """Records the duration of one process of a cell, which may be trained in several pieces."""
    with (folder / _PIECES).open("a", encoding="utf-8") as stream:
        stream.write(f"{seconds:.1f}\n")


def seconds_of(folder: Path, result: Result) -> float | None:
    """Returns the seconds that a cell took in all its pieces; None if unknown."""
    file = folder / _PIECES
    pieces = [float(line) for line in file.read_text(encoding="utf-8").split()] if file.is_file() else []
    return round(sum(pieces), 1) if pieces else result.seconds
