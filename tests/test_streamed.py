"""A generator in a process of its own: in order, with its errors, and it may die alone."""

import os

import pytest

from addnet.errors import UserError
from addnet.pool import streamed


def _numbers(count, then):
    yield from range(count)
    if then == "user error":
        raise UserError("no video")
    if then == "error":
        raise ValueError("broken")
    if then == "abort":
        os.abort()


def test_items_come_in_order():
    assert list(streamed(_numbers, 50, then="")) == list(range(50))


@pytest.mark.parametrize(
    ("then", "kind", "said"),
    [("user error", UserError, "^no video$"), ("error", RuntimeError, "broken"), ("abort", UserError, "SIGABRT")],
)
def test_what_was_made_before_an_end_is_kept(then, kind, said):
    items = streamed(_numbers, 3, then=then)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(kind, match=said):
        next(items)


def _pid_for_ever():
    while True:
        yield os.getpid()


def test_closing_ends_the_process():
    items = streamed(_pid_for_ever)
    pid = next(items)
    items.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
