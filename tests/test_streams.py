"""Streams come in the order of their tasks, from few processes, and one that dies takes no other with it."""

import os
from contextlib import closing
from functools import partial
from itertools import islice

import pytest

from addnet.errors import UserError
from addnet.pool import PoolJob, streams
from addnet.pool.processes import ProcessExecutor

COUNT, LENGTHS = 100, (0, 1, 8, 16)


def numbers(task, *, most=COUNT):
    if task == "dies":
        os.abort()
    if task == "refused":
        yield -1
        raise UserError("no such thing")
    for number in range(most):
        yield os.getpid(), task, number


def up_to(length):
    return iter(range(length))


def test_streams_keep_their_order_and_processes_are_used_again():
    tasks = [*range(4), "dies", "refused", 6]
    items, said = {}, {}
    for stream in streams(PoolJob.of(numbers), iter(tasks), workers=2):
        try:
            items[stream.task] = list(stream)
        except UserError as error:
            said[stream.task] = str(error)
    assert list(items) == [0, 1, 2, 3, 6]
    assert all([item[1:] for item in found] == [(task, n) for n in range(COUNT)] for task, found in items.items())
    assert len({pid for task in range(4) for pid, *_ in items[task]}) <= 2
    assert "died" in said["dies"]
    assert said["refused"] == "no such thing"


def test_endless_streams_share_a_process():
    job = PoolJob.of(partial(numbers, most=10**9))
    found = [[item[1:] for item in islice(stream, 2)] for stream in streams(job, ["a", "b"], workers=1)]
    assert found == [[("a", 0), ("a", 1)], [("b", 0), ("b", 1)]]


def test_no_tasks_need_no_process():
    assert list(streams(PoolJob.of(numbers), [], workers=1)) == []


def test_streams_of_any_length_end():
    for found, length in zip(streams(PoolJob.of(up_to), LENGTHS, workers=1), LENGTHS, strict=True):
        assert list(found) == list(range(length))


def test_a_pool_that_is_shut_down_takes_no_calls_which_nobody_would_do():
    pool = ProcessExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(os.getpid)


def some_then(then):
    yield from range(3)
    if then == "user error":
        raise UserError("no video")
    if then == "error":
        raise ValueError("broken")
    os.abort()


@pytest.mark.parametrize(
    ("then", "kind", "said"),
    [("user error", UserError, "^no video$"), ("error", RuntimeError, "broken"), ("abort", UserError, "SIGABRT")],
)
def test_what_was_made_before_an_end_is_kept(then, kind, said):
    with closing(streams(PoolJob.of(some_then), [then], workers=1, at_once=1)) as found:
        items = iter(next(found))
        assert [next(items) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(kind, match=said):
            next(items)


def test_closing_ends_the_processes():
    found = streams(PoolJob.of(partial(numbers, most=10**9)), ["a"], workers=1)
    pid = next(iter(next(found)))[0]
    found.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
