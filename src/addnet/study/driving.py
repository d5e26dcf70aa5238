"""Cells that are left → trained, so many at once, each an ordinary single run; stopped and continued at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from addnet.console import say
from addnet.overrides import quoted
from addnet.study.folders import StudyFolder, lock, note_piece
from addnet.study.plan import StudyCell
from addnet.sweeps.board import Board
from addnet.sweeps.processes import environment, run_all, start_process, visible_devices
from addnet.sweeps.results import RESULT, Result, read_result, write_result

# a training that gets SIGTERM writes its last step down; Ctrl-C would lose what came after its last checkpoint
GENTLY = {signal.SIGINT: signal.SIGTERM, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}


@dataclass
class StudyJob:
    """A process to be run in a folder of the study.

    Attributes:
        name: As it is told.
        folder: Its run folder.
        command: Module and arguments.
        finished: Called once it has ended well.
        records: Whether it writes itself how it ended.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    finished: Callable[[], None]
    records: bool = True
    number: int = 0
    held: int | None = field(default=None, repr=False)
    began: float = 0.0


def training(study: StudyFolder, cell: StudyCell, *, afresh: bool, finished: Callable[[], None]) -> StudyJob:
    """The job of a cell: from its last checkpoint if there is one, unless it is to begin afresh."""
    folder = study.of(cell)
    go_on = [] if afresh else ["ckpt_path=auto"]
    arguments = [*cell.overrides, *go_on, "hydra.mode=RUN", f"hydra.run.dir={quoted(str(folder))}"]
    return StudyJob(cell.name, folder, ("addnet.train", *arguments), finished)


def drive(jobs: Sequence[StudyJob], *, n_jobs: int, minutes: float | None) -> int | None:
    """Runs jobs; one that fails stops no other.

    Args:
        jobs: In the order in which they are started.
        n_jobs: How many at once; each gets its share of the threads and GPUs.
        minutes: After so many, those that run are asked to write down where they are, and no other is started.

    Returns:
        Number of the signal that stopped it, that of SIGTERM where the time was up; None if all have ended.
    """
    devices, board = visible_devices() if n_jobs > 1 else [], Board(len(jobs))
    for number, job in enumerate(jobs):
        job.number = number

    def start(job: StudyJob, slot: int) -> subprocess.Popen[bytes]:
        return _start(job, slot, n_jobs=n_jobs, devices=devices, board=board)

    def end(job: StudyJob, code: int, stopping: bool) -> None:
        board.end(job.number)
        _end(job, code, stopping)

    with board.shown():
        return run_all(
            jobs,
            n_jobs=n_jobs,
            start=start,
            end=end,
            seconds=float("inf") if minutes is None else minutes * 60,
            passed_on=GENTLY,
        )


def _start(job: StudyJob, slot: int, *, n_jobs: int, devices: Sequence[str], board: Board) -> subprocess.Popen[bytes]:
    console = job.folder / "console.log"
    board.start(job.number, job.name, output=console)
    surroundings = environment(slot, n_jobs=n_jobs, devices=devices)
    job.began, job.held = time.monotonic(), lock(job.folder)
    if job.held is None:  # taken since it was looked at, by another driver
        return start_process([sys.executable, "-c", ""], surroundings, console=None)
    say(f"{job.name} starts")
    (job.folder / RESULT).unlink(missing_ok=True)
    command = [sys.executable, "-m", *job.command]
    return start_process(command, surroundings, console=console, pass_fds=(job.held,))


def _end(job: StudyJob, code: int, stopping: bool) -> None:
    if job.held is None:
        return
    os.close(job.held)
    note_piece(job.folder, time.monotonic() - job.began)
    result = read_result(job.folder)
    if result is None and not job.records and code == 0:
        result = Result(status="success")
        write_result(job.folder, result)
    if result is None:
        how = f"killed by signal {-code}" if code < 0 else f"exited with {code} and didn't say why; see console.log"
        result = Result(status="interrupted" if stopping else "failed", reason=how)
        result.killed_by = -code if code < 0 else None
        write_result(job.folder, result)
    if result.status == "success":
        say(f"{job.name}: done")
        job.finished()
    else:
        say(f"{job.name}: {result.in_a_line()}")


def remove_last(folder: Path) -> None:
    """Removes the checkpoint that only serves to train on, of a cell that is done."""
    with suppress(FileNotFoundError):
        (folder / "checkpoints" / "last.ckpt").unlink()
