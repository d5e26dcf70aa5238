"""Trains the remaining cells, several at once, each as a single run; can be stopped and resumed at any time."""

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

# a training saves its last step after SIGTERM; after SIGINT, the steps since the last checkpoint would be lost
GENTLY = {signal.SIGINT: signal.SIGTERM, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}


@dataclass
class StudyJob:
    """A process to run in a folder of the study.

    Attributes:
        name: Its name in the output.
        folder: Its run folder.
        command: Module and arguments.
        finished: Called after it has succeeded.
        records: Whether it writes its `result.json` itself.
        number: Its position among the jobs of `drive`.
        held: Descriptor of the lock on its folder; None if another process holds the lock.
        began: Time of its start, in seconds of the monotonic clock.
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
    """Makes the job of a cell; it resumes from the last checkpoint if there is one, unless `afresh`."""
    folder = study.of(cell)
    resume = [] if afresh else ["ckpt_path=auto"]
    arguments = [*cell.overrides, *resume, "hydra.mode=RUN", f"hydra.run.dir={quoted(str(folder))}"]
    return StudyJob(cell.name, folder, ("addnet.train", *arguments), finished)


def drive(jobs: Sequence[StudyJob], *, n_jobs: int, minutes: float | None) -> int | None:
    """Runs jobs; one that fails doesn't stop the others.

    Args:
        jobs: The jobs, in the order in which they are started.
        n_jobs: Number of jobs at once; each gets its share of the threads and GPUs.
        minutes: Time limit, after which running jobs are asked to save their state and no more are started.

    Returns:
        Number of the signal that stopped the jobs, SIGTERM for the time limit; None if all have ended.
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
    if job.held is None:  # another driver has taken it in the meantime
        return start_process([sys.executable, "-c", ""], surroundings, console=None)
    say(f"{job.name}: started")
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
        how = f"killed by signal {-code}" if code < 0 else f"exited with code {code} without a reason; see console.log"
        result = Result(status="interrupted" if stopping else "failed", reason=how)
        result.killed_by = -code if code < 0 else None
        write_result(job.folder, result)
    if result.status == "success":
        say(f"{job.name}: done")
        job.finished()
    else:
        say(f"{job.name}: {result.in_a_line()}")


def remove_last(folder: Path) -> None:
    """Removes the checkpoint of a finished cell that only serves to resume it."""
    with suppress(FileNotFoundError):
        (folder / "checkpoints" / "last.ckpt").unlink()
