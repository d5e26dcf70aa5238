"""Every task once: whatever a task does to its worker, the others are done and it is told."""

import gc
import os
import re
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from itertools import count, islice
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from addnet.errors import UserError
from addnet.pool.processes import _Worker
from addnet.preparation.engine import run

ON_WORKERS = {"workers": 2, "failed": lambda task, reason: (task, reason)}


def square(task):
    return task * task


def picky(task):
    if task == 5:
        raise RuntimeError("five is not liked")
    if task == 6:
        raise UserError("nor is six")
    return task


def deadly(task, *, killers):
    if task in killers:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def deadly_once(task, *, marker):
    if task == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def dies_while_answering(task):
    if task == 3:
        pipe = next(found for found in gc.get_objects() if isinstance(found, Connection) and found.writable)
        os.write(pipe.fileno(), struct.pack("!i", 1000) + b"the first of a thousand bytes")
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def pid(task):
    time.sleep(0.01)
    return os.getpid()


def for_ever(marker):
    """One of two waits; the other never gives Python a turn, as decoders may."""
    Path(marker).touch()
    if marker.endswith("a"):
        re.fullmatch("(a+)+b", "a" * 64)
    time.sleep(1000)


def lame(task):
    return lambda: task


def no_start():
    raise UserError("no model file")


def opened():
    global state
    state = state + 1 if "state" in globals() else 1


def read_state(task):
    return state


pytestmark = [pytest.mark.spawns, pytest.mark.slow]

HELPERS = ("resource_tracker", "forkserver")
earlier = set()


@pytest.fixture(autouse=True)
def _earlier():
    """Other tests of this process may have left something running, such as Python's fork server."""
    earlier.clear()
    earlier.update(psutil.Process().children(recursive=True))


def children():
    """Worker processes; Python's own helper that watches semaphores is none, nor what starts the commands of tests."""
    own = [p for p in psutil.Process().children() if not any(word in " ".join(p.cmdline()) for word in HELPERS)]
    return [p for each in own for p in (each, *each.children(recursive=True)) if p not in earlier]


@pytest.mark.parametrize("options", [{"workers": 0}, {"workers": 2}, {"workers": 3, "chunk": 7}, {"workers": 1}])
def test_every_task_is_done_once(options):
    found = list(run(square, range(100), failed=lambda task, reason: None, **options))
    assert sorted(found) == [task * task for task in range(100)]
    assert not children()


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_task_raises_is_its_own_failure(workers):
    found = list(run(picky, range(20), failed=lambda task, reason: (task, reason), workers=workers, chunk=4))
    assert dict(x for x in found if isinstance(x, tuple)) == {5: "RuntimeError: five is not liked", 6: "nor is six"}
    assert sorted(x for x in found if isinstance(x, int)) == [x for x in range(20) if x not in (5, 6)]


@pytest.mark.parametrize("chunk", [1, 8])
def test_a_task_that_kills_its_worker_is_reported_and_all_others_are_done(chunk):
    found = list(run(partial(deadly, killers=(3, 17)), range(40), chunk=chunk, **ON_WORKERS))
    failures = dict(x for x in found if isinstance(x, tuple))
    assert set(failures) == {3, 17}
    assert all("killed its worker twice" in reason and "SIGKILL" in reason for reason in failures.values())
    assert sorted(x for x in found if isinstance(x, int)) == [x for x in range(40) if x not in (3, 17)]


@pytest.mark.parametrize("chunk", [1, 8])
def test_a_task_whose_worker_was_killed_once_succeeds(chunk, tmp_path):
    marker = tmp_path / "killed"
    found = list(run(partial(deadly_once, marker=marker), range(40), chunk=chunk, **ON_WORKERS))
    assert marker.exists()
    assert sorted(found) == list(range(40))


def test_a_worker_that_dies_amid_its_answer_is_noticed():
    found = list(run(dies_while_answering, range(6), **ON_WORKERS))
    assert sorted(x for x in found if isinstance(x, int)) == [0, 1, 2, 4, 5]
    assert [x[0] for x in found if isinstance(x, tuple)] == [3]


def test_a_worker_that_is_killed_while_it_starts_is_started_again(monkeypatch):
    begun = []

    class Killed(_Worker):
        def __init__(self):
            super().__init__()
            begun.append(self)
            if len(begun) <= 2:
                self.process.kill()

    monkeypatch.setattr("addnet.pool.processes._Worker", Killed)
    assert sorted(run(square, range(10), **ON_WORKERS)) == [task * task for task in range(10)]
    assert len(begun) > 2


def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from addnet.preparation.engine import run\nlist(run(abs, [1], workers=1, failed=print))\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert told.returncode == 1
    assert "must do its work under `if __name__ == '__main__':`" in told.stderr


def test_workers_that_always_die_end_the_run_in_a_sentence(monkeypatch):
    monkeypatch.setattr("addnet.pool.loop._HOPELESS", 3)
    with pytest.raises(UserError, match="before a single task was finished"):
        list(run(partial(deadly, killers=range(1000)), range(1000), **ON_WORKERS))


def test_a_result_that_cannot_travel_is_a_failure():
    (task, reason), *others = run(lame, [1], **ON_WORKERS)
    assert (task, others) == (1, [])
    assert "lame.<locals>.<lambda>" in reason


def test_start_runs_once_a_process_and_its_errors_end_the_run():
    assert set(run(read_state, range(50), start=opened, chunk=3, **ON_WORKERS)) == {1}
    with pytest.raises(UserError, match="no model file"):
        list(run(square, range(50), start=no_start, **ON_WORKERS))
    assert not children()


def test_tasks_are_read_only_as_far_as_workers_need_them():
    numbers = count()
    results = run(square, numbers, chunk=5, **ON_WORKERS)
    list(islice(results, 20))
    results.close()
    assert next(numbers) <= 20 + 2 * 5 * 2 * 2  # done, and twice what two workers hold ahead


def test_an_error_of_the_task_list_ends_the_run_and_the_workers():
    def broken():
        yield from range(30)
        raise OSError("list is gone")

    with pytest.raises(OSError, match="list is gone"):
        list(run(square, broken(), **ON_WORKERS))
    assert not children()


def test_all_workers_take_part():
    assert len(set(run(pid, range(100), **ON_WORKERS)) - {os.getpid()}) == 2


def test_closing_early_kills_workers_that_are_busy(tmp_path):
    tasks = [str(tmp_path / str(number)) for number in range(6)]
    results = run(sleep_after_first, tasks, **ON_WORKERS)
    next(results)
    assert children()
    results.close()
    assert not children()


def sleep_after_first(marker):
    if not marker.endswith("0"):
        for_ever(marker)


SCRIPT = """
import sys
from test_engine import for_ever
from addnet.preparation.engine import run
if __name__ == "__main__":
    list(run(for_ever, sys.argv[1:], workers=2, failed=lambda *a: None))
"""


@pytest.fixture
def busy_run(tmp_path):
    """A run in a process of its own whose two workers never come to an end."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    markers = [tmp_path / name for name in "abcdef"]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, str(script), *map(str, markers)]
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        # a shell that runs tests in the background has Ctrl-C ignored, also by its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until(lambda: sum(marker.exists() for marker in markers) == 2)
    workers = psutil.Process(process.pid).children(recursive=True)
    yield process, workers
    for each in [process, *workers]:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_ends_the_run_and_its_workers_at_once(busy_run):
    process, workers = busy_run
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=30)[1]
    wait_until(lambda: not any(worker.is_running() for worker in workers))


def test_a_killed_run_leaves_no_workers_behind_whatever_they_do(busy_run):
    process, workers = busy_run
    process.kill()
    process.wait()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
