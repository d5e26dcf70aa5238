"""The folder of a study: where each cell lies, how far it is, and whether somebody is at it."""

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
    """Where the cells of a study are trained.

    Attributes:
        path: The folder; there is a folder below it for each cell.
    """

    path: Path

    def of(self, cell: StudyCell) -> Path:
        """The run folder of a cell."""
        return self.path / cell.name

    def state(self, cell: StudyCell) -> State:
        """How far a cell is, by its folder alone; `kept`, trained elsewhere, is for who knows the results.

        `begun`: cut short, and goes on from its last checkpoint. `changed`: trained by another config than the present
        one. `runs`: a process is at it, of this command or of one that has ended meanwhile.
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
        """Whether what lies in its folder was trained by another config."""
        file = self.of(cell) / "config.yaml"
        return file.is_file() and not alike(run_recipe(file), recipe(cell.config))


def run_recipe(file: Path) -> dict[str, object]:
    """The recipe of the `config.yaml` of a run folder."""
    return recipe(OmegaConf.to_container(OmegaConf.load(file), resolve=False))  # type: ignore[arg-type]


def lock(folder: Path) -> int | None:
    """Takes a cell; None where a process is at it.

    The lock belongs to the descriptor, and a process that inherits that holds it, too: a cell whose driver was killed
    stays taken as long as its training lives.

    Returns:
        A descriptor, to be handed on to the training and closed.
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
    """Whether a process is at a cell."""
    if not (folder / _LOCK).is_file():
        return False
    descriptor = lock(folder)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def note_piece(folder: Path, seconds: float) -> None:
    """Adds the time of one process to those of a cell, which may be trained in several pieces."""
    with (folder / _PIECES).open("a", encoding="utf-8") as stream:
        stream.write(f"{seconds:.1f}\n")


def seconds_of(folder: Path, result: Result) -> float | None:
    """How long a cell took in all its pieces; None where nobody knows."""
    file = folder / _PIECES
    pieces = [float(line) for line in file.read_text(encoding="utf-8").split()] if file.is_file() else []
    return round(sum(pieces), 1) if pieces else result.seconds
