"""The same promises on a cluster: a real scheduler and two worker processes, one of which is killed amid its work."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from itertools import count, islice
from pathlib import Path
from threading import Thread

import psutil
import pytest

from addnet.errors import UserError
from addnet.pool import PoolJob
from addnet.preparation.cluster import run_on_cluster
from addnet.preparation.engine import run
from addnet.untrusted.limits import Limits

pytestmark = pytest.mark.slow

Client = pytest.importorskip("distributed", reason="needs the extra `cluster`").Client


def logged(task, *, folder):
    """Leaves a line for each time a task was done, and waits where it is told to."""
    with Path(folder, f"{task}.log").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while Path(folder, "hold").exists():
        time.sleep(0.02)
    return task


def held_after_first(task, *, folder):
    """Whichever comes first goes through; the others wait."""
    Path(folder, f"{task}.log").touch()
    try:
        Path(folder, "first").touch(exist_ok=False)
    except FileExistsError:
        while Path(folder, "hold").exists():
            time.sleep(0.02)


def picky(task):
    if task == 5:
        raise RuntimeError("five is not liked")
    return task


def deadly(task, *, killer):
    if task == killer:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def endless_over_two(task):
    time.sleep(1000 if task == 2 else 0)
    return task


def state_of_process(task):
    return os.getpid(), os.environ.get("ADDNET_TEST_STARTS")


def count_starts(name):
    os.environ["ADDNET_TEST_STARTS"] = os.environ.get("ADDNET_TEST_STARTS", "") + name


def no_start():
    raise UserError("no model file")


def command(module, *options):
    modules = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    words = [sys.executable, "-m", f"distributed.cli.{module}", *options, "--host", "127.0.0.1", "--no-dashboard"]
    settings = {"PYTHONPATH": modules, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}  # 3 would only take longer
    return subprocess.Popen(words, env=os.environ | settings, stderr=subprocess.DEVNULL)


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def end(processes):
    everything = [p for each in processes for p in psutil.Process(each.pid).children(recursive=True)] + processes
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for process in processes:
        process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address of a scheduler with two workers, each a process that its nanny starts again."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    processes = [command("dask_scheduler", "--port", "0", "--scheduler-file", str(file))]
    wait_until(lambda: file.exists() and file.read_text().endswith("}"))
    worker = ("dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--local-directory", str(folder))
    processes += [command(*worker), command(*worker)]
    address = json.loads(file.read_text())["address"]
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    yield address
    end(processes[::-1])


@pytest.fixture
def options(cluster):
    return {"scheduler": cluster, "failed": lambda task, reason: (task, reason)}


@pytest.mark.parametrize("chunk", [1, 7])
def test_every_task_is_done_once(options, tmp_path, chunk):
    found = list(run(partial(logged, folder=tmp_path), range(60), chunk=chunk, **options))
    assert sorted(found) == list(range(60))
    assert all(len(file.read_text().split()) == 1 for file in tmp_path.glob("*.log"))


def test_tasks_that_look_alike_are_each_done(options, tmp_path):
    assert list(run(partial(logged, folder=tmp_path), [4] * 10, **options)) == [4] * 10
    assert len((tmp_path / "4.log").read_text().split()) == 10


def test_what_a_task_raises_is_its_own_failure(options):
    found = list(run(picky, range(10), chunk=4, **options))
    assert (5, "RuntimeError: five is not liked") in found
    assert len(found) == 10


@pytest.mark.parametrize("chunk", [1, 4])
def test_a_worker_that_is_killed_loses_and_doubles_nothing(options, tmp_path, chunk):
    hold = tmp_path / "hold"
    hold.touch()
    results = run(partial(logged, folder=tmp_path), range(40), chunk=chunk, **options)

    def kill_one():
        wait_until(lambda: len(list(tmp_path.glob("*.log"))) == 2)
        os.kill(int(next(tmp_path.glob("*.log")).read_text().split()[0]), signal.SIGKILL)
        hold.unlink()

    killer = Thread(target=kill_one)
    killer.start()
    found = list(results)
    killer.join()
    assert sorted(found) == list(range(40))
    done_by = [file.read_text().split() for file in tmp_path.glob("*.log")]
    assert any(len(set(processes)) == 2 for processes in done_by)  # what the dead one was at, another did


def test_a_task_that_always_kills_its_worker_is_reported(options):
    found = list(run(partial(deadly, killer=7), range(12), **options))
    (task, reason), *more = [x for x in found if isinstance(x, tuple)]
    assert (task, more) == (7, [])
    assert "killed its worker" in reason
    assert sorted(x for x in found if isinstance(x, int)) == [x for x in range(12) if x != 7]


def test_a_task_that_takes_too_long_costs_only_itself(cluster):
    job = PoolJob.of(endless_over_two, limits=Limits(seconds=2.0))
    lost = {"failed": lambda task, reason: reason}
    found = list(run_on_cluster(job, range(4), scheduler=cluster, chunk=4, **lost))
    assert sorted(map(str, found)) == ["0", "1", "3", "took longer than 2 s"]


def test_start_runs_once_a_process_and_its_errors_end_the_run(options):
    found = set(run(state_of_process, range(40), start=partial(count_starts, "x"), **options))
    assert {starts for _, starts in found} == {"x"}
    with pytest.raises(UserError, match="no model file"):
        list(run(picky, range(40), start=no_start, **options))


def test_tasks_are_read_only_as_far_as_workers_need_them(options):
    numbers = count()
    results = run(picky, numbers, chunk=5, **options)
    list(islice(results, 20))
    results.close()
    assert next(numbers) <= 20 + 2 * 5 * 2 * 2


def test_closing_early_cancels_what_waits(options, tmp_path, cluster):
    hold = tmp_path / "hold"
    results = run(partial(held_after_first, folder=tmp_path), range(30), **options)
    hold.touch()
    next(results)
    results.close()
    hold.unlink()
    with Client(cluster, set_as_default=False) as client:
        wait_until(lambda: not any(client.processing().values()))
    assert len(list(tmp_path.glob("*.log"))) < 10  # the first, what two workers were at, what they had beside it


def test_workers_with_another_version_are_refused(options, monkeypatch):
    monkeypatch.setattr("addnet.pool.job.PoolJob.of", lambda *a, **_: PoolJob(pickle.dumps(a), version="9.9"))
    with pytest.raises(UserError, match=r"needs 9\.9"):
        list(run(picky, range(3), **options))


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    nobody = "tcp://127.0.0.1:9"
    with pytest.raises(UserError, match=nobody):
        list(run_on_cluster(PoolJob.of(picky), [1], scheduler=nobody, failed=lambda *a: None, timeout=0.5))


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"addnet\[cluster\]"):
        list(run(picky, [1], scheduler="tcp://127.0.0.1:9", failed=lambda *a: None))


def test_a_scheduler_that_is_lost_ends_the_run_in_a_sentence(tmp_path):
    file = tmp_path / "scheduler.json"
    scheduler = command("dask_scheduler", "--port", "0", "--scheduler-file", str(file))
    wait_until(lambda: file.exists() and file.read_text().endswith("}"))
    address = json.loads(file.read_text())["address"]

    def tasks():
        scheduler.kill()
        yield 1

    try:
        with pytest.raises(UserError, match="was lost"):
            list(run(picky, tasks(), scheduler=address, failed=lambda *a: None))
    finally:
        end([scheduler])
