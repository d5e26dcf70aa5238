"""What stands at the end of every sweep: its table, and how it went."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path

from addnet.console import say
from addnet.errors import UserError
from addnet.sweeps.jobs import SweepJob, read_sweep
from addnet.sweeps.record import SWEEP
from addnet.sweeps.results import read_json
from addnet.wording import count


def has_jobs(sweep_dir: Path | None) -> bool:
    """Whether a sweep was begun, and came as far as its first job."""
    return sweep_dir is not None and bool(read_sweep(sweep_dir))


def finish(sweep_dir: Path, code: int) -> int:
    """Writes and prints the table of a sweep that has ended in whatever way.

    Args:
        sweep_dir: Folder of the sweep.
        code: Exit code that the sweep came to by itself.

    Returns:
        The exit code to end with: not zero if a job is no success.
    """
    jobs = read_sweep(sweep_dir)
    if not jobs:  # refused before its first job
        return code
    told = read_json(sweep_dir / SWEEP) or {}
    _summarise(sweep_dir, jobs, told.get("metric"))
    failed = sum(job.status == "failed" for job in jobs)
    unfinished = sum(job.status in ("interrupted", "unfinished") for job in jobs)
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGHUP) or unfinished:
        queued = " once none of them is queued" if str(told.get("launcher")).startswith("submitit") else ""
        say(
            f"interrupted: {unfinished} of {count(len(jobs), 'job')} are not finished; go on with --resume "
            f"{shlex.quote(str(sweep_dir))}{queued}"
        )
        return code or 1
    if failed:
        say(f"{failed} of {count(len(jobs), 'job')} failed; the reasons are in {sweep_dir / 'summary.md'}")
        return code or 1
    return code


def _summarise(sweep_dir: Path, jobs: list[SweepJob], metric: str | None) -> None:
    from addnet.sweeps.summary import write_summary  # matplotlib: not for --help

    try:
        files = write_summary(jobs, sweep_dir, metric=metric)
    except UserError as error:
        say(f"sweep_metric: {error}")
        files = write_summary(jobs, sweep_dir)
    sys.stdout.write(f"\n{files.text.read_text(encoding='utf-8')}\n")
    sys.stdout.write("".join(f"{file}\n" for file in files))
    sys.stdout.flush()
