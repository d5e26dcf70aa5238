"""Finishes a sweep: prints its table and the number of jobs that failed or didn't finish."""

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
    """Whether a sweep was started and has at least one job."""
    return sweep_dir is not None and bool(read_sweep(sweep_dir))


def finish(sweep_dir: Path, code: int) -> int:
    """Writes and prints the table of a sweep that has ended, whether it succeeded or not.

    Args:
        sweep_dir: Folder of the sweep.
        code: Exit code of the sweep itself.

    Returns:
        The exit code of the program: not zero unless every job succeeded.
    """
    jobs = read_sweep(sweep_dir)
    if not jobs:  # refused before its first job
        return code
    record = read_json(sweep_dir / SWEEP) or {}
    _summarise(sweep_dir, jobs, record.get("metric"))
    failed = sum(job.status == "failed" for job in jobs)
    unfinished = sum(job.status in ("interrupted", "unfinished") for job in jobs)
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGHUP) or unfinished:
        queued = " once no job is queued any more" if str(record.get("launcher")).startswith("submitit") else ""
        say(
            f"interrupted: {unfinished} of {count(len(jobs), 'job')} did not finish; continue with --resume "
            f"{shlex.quote(str(sweep_dir))}{queued}"
        )
        return code or 1
    if failed:
        say(f"{failed} of {count(len(jobs), 'job')} failed; the reasons are in {sweep_dir / 'summary.md'}")
        return code or 1
    return code


def _summarise(sweep_dir: Path, jobs: list[SweepJob], metric: str | None) -> None:
    from addnet.sweeps.summary import write_summary  # imports matplotlib, which --help doesn't need

    try:
        files = write_summary(jobs, sweep_dir, metric=metric)
    except UserError as error:
        say(f"sweep_metric: {error}")
        files = write_summary(jobs, sweep_dir)
    sys.stdout.write(f"\n{files.text.read_text(encoding='utf-8')}\n")
    sys.stdout.write("".join(f"{file}\n" for file in files))
    sys.stdout.flush()
