"""Runs jobs as processes: a fixed number at once, each with its share of the machine, all stopped together."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from addnet.sweeps.resume import RESUMING

# with one of these variables a job would take itself for a rank of another run
INHERITED = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "ADDNET_RUN", RESUMING)
# signal to the sweep → signal to its jobs: a closed terminal stops them as a scheduler would
PASSED_ON = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}

T = TypeVar("T")


class SignalCollector:
    """Collects signals to this process while jobs run, so that they don't end it.

    The first signal is passed on to every job once, so that the jobs can save their state; a second one kills them.

    Args:
        passed_on: The signal that jobs receive for each signal to this process.
    """

    def __init__(self, passed_on: Mapping[signal.Signals, signal.Signals] = PASSED_ON) -> None:
        self.passed_on = passed_on
        self.received: list[int] = []
        self._passed = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> SignalCollector:
        if threading.current_thread() is threading.main_thread():
            for number in self.passed_on:
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a job in a shell's background
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pass_on(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Sends the jobs the signals received since the last call."""
        while self._passed < len(self.received):
            first = self._passed == 0
            number = self.passed_on[signal.Signals(self.received[self._passed])] if first else signal.SIGKILL
            for process in processes:
                signal_group(process, number)
            self._passed += 1

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received.append(number)


def run_all(
    jobs: Sequence[T],
    *,
    n_jobs: int,
    start: Callable[[T, int], subprocess.Popen[bytes]],
    end: Callable[[T, int, bool], None],
    seconds: float = math.inf,
    passed_on: Mapping[signal.Signals, signal.Signals] = PASSED_ON,
) -> int | None:
    """Runs jobs, `n_jobs` at a time, in order.

    Args:
        jobs: The jobs.
        n_jobs: Number of jobs at once.
        start: Starts a job, given its slot from 0 to `n_jobs` - 1.
        end: Called when a job ends, with its exit code (negative for a signal) and whether the sweep was being stopped.
        seconds: Time limit, after which the jobs are stopped as by SIGTERM.
        passed_on: The signal that jobs receive for each signal to this process.

    Returns:
        Number of the signal that stopped the sweep; None if all jobs ran.
    """
    waiting = deque(jobs)
    running: dict[int, tuple[T, subprocess.Popen[bytes]]] = {}
    stops_at = time.monotonic() + seconds
    with SignalCollector(passed_on) as signals:
        while running or (waiting and not signals.received):
            if time.monotonic() > stops_at and not signals.received:
                signals.received.append(signal.SIGTERM)
            while waiting and len(running) < n_jobs and not signals.received:
                slot = min(set(range(n_jobs)) - set(running))
                job = waiting.popleft()
                running[slot] = job, start(job, slot)
            signals.pass_on([process for _, process in running.values()])
            for slot, (job, process) in list(running.items()):
                if process.poll() is not None:
                    del running[slot]
                    if process.returncode:
                        signal_group(process, signal.SIGKILL)  # ranks and workers that lost their first process
                    end(job, process.returncode, bool(signals.received))
            time.sleep(0.05)
        return signals.received[0] if signals.received else None


def start_process(
    command: Sequence[str], environment: dict[str, str], *, console: Path | None, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Starts a job in its own session and process group, since Ctrl-C at a terminal would else reach it twice.

    Args:
        command: The command and its arguments.
        environment: The environment of the job.
        console: The file that its output is appended to; None: the output of this process.
        pass_fds: File descriptors that it inherits.
    """
    how: dict[str, Any] = {"env": environment, "start_new_session": True, "pass_fds": pass_fds}
    if console is None:
        return subprocess.Popen(list(command), **how)
    console.parent.mkdir(parents=True, exist_ok=True)
    with console.open("ab") as stream:
        return subprocess.Popen(list(command), stdout=stream, stderr=subprocess.STDOUT, **how)


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to a job and all its ranks and workers."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def environment(slot: int, *, n_jobs: int, devices: Sequence[str], ranks: int = 1) -> dict[str, str]:
    """Returns the environment of a job, with its share of threads and GPUs and without the ranks of another run.

    Args:
        slot: Number of the job among those that run at once, from 0.
        n_jobs: Number of jobs at once.
        devices: GPUs that may be used, as CUDA_VISIBLE_DEVICES names them.
        ranks: Number of processes that the job starts, which share its threads.
    """
    kept = {name: value for name, value in os.environ.items() if name not in INHERITED}
    if n_jobs == 1:
        return kept
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    kept.setdefault("OMP_NUM_THREADS", str(max(1, cores // (n_jobs * ranks))))
    if devices:  # every n-th GPU; with fewer GPUs than jobs, jobs share them
        share = devices[slot::n_jobs] or [devices[slot % len(devices)]]
        kept["CUDA_VISIBLE_DEVICES"] = ",".join(share)
    return kept


def visible_devices() -> list[str]:
    """Returns the GPUs in CUDA_VISIBLE_DEVICES, or else all that the driver lists; without importing torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    if not (tool := shutil.which("nvidia-smi")):
        return []
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = [line.split("UUID: ")[1].rstrip(")") for line in listed.splitlines() if "UUID: " in line]
    return [name for name in names if name.startswith("MIG")] or names
