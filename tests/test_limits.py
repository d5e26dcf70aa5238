"""What one file may take is bounded: memory and time, in the process that opens it, and it costs only itself."""

import re
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from addnet.errors import UserError
from addnet.pool import Job, ProcessExecutor, call_within, run_local, streamed_within
from addnet.untrusted.limits import Limits, memory_in_words, prolong

TINY = Limits(memory=100 << 20, seconds=1.0, seconds_a_second=1.0, seconds_a_frame=1.0)
MUCH = 300 << 20  # bytes
needs_rlimit = pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")


def hostile(task):
    """Does what decoders of hostile files do: none of these ever gives Python a turn, or they ask for all memory."""
    if task == "hangs":
        re.fullmatch("(a+)+b", "a" * 64)
    if task == "numpy":
        np.ones(MUCH, np.uint8)
    if task == "opencv":
        cv2.resize(np.zeros((8, 8, 3), np.uint8), (12_000, 12_000))
    if task == "pillow":
        Image.new("RGB", (12_000, 12_000))
    if task == "caught":  # as readers of files do
        try:
            with memory_in_words():
                np.ones(MUCH, np.uint8)
        except UserError as error:
            return str(error)
    return task


@needs_rlimit
def test_what_takes_too_much_memory_or_time_costs_only_itself():
    tasks = ["before", "numpy", "between", "opencv", "pillow", "caught", "hangs", "after"]
    job = Job.of(hostile, limits=TINY)
    found = run_local(job, tasks, failed=lambda task, reason: (task, reason), workers=1, chunk=len(tasks))
    said = sorted(map(str, found))
    much = "it needs more than 100 MB of memory"
    refused = [("hangs", "took longer than 1 s"), *((task, much) for task in ("numpy", "opencv", "pillow"))]
    assert said == sorted(["before", "between", "after", much, *map(str, refused)])


def test_a_call_that_takes_too_long_is_refused_and_the_next_one_is_answered():
    with ProcessExecutor(1) as executor:
        with pytest.raises(UserError, match="took longer than 1 s"):
            call_within(TINY, executor, hostile, "hangs")
        assert call_within(TINY, executor, hostile, "honest") == "honest"


def slowly(*, longer):
    if longer:
        prolong(lambda limits: limits.more_for_video(lasts=100, size=10**9, every=None, frames=1))
    for number in range(7):
        time.sleep(0.2)
        yield number


def quickly():
    yield from range(20)


def test_time_of_a_stream_is_that_of_its_process_and_a_long_video_gets_more():
    with pytest.raises(UserError, match=r"^took longer than 1 s"):
        list(streamed_within(TINY, slowly, longer=False))
    assert list(streamed_within(TINY, slowly, longer=True)) == list(range(7))


def test_time_in_which_nobody_takes_anything_does_not_count():
    items = streamed_within(TINY, quickly)
    first = [next(items)]
    time.sleep(1.2)
    assert first + list(items) == list(range(20))


def test_a_video_gets_time_by_its_length_as_far_as_it_has_bytes_for_it():
    more = Limits().more_for_video
    assert more(lasts=0, size=10**6, every=None, frames=32) == 160
    assert more(lasts=60, size=10**6, every=None, frames=32) == 760
    assert more(lasts=60, size=10**6, every=30, frames=None) == 60 * (10 + 2 * 5)
    assert more(lasts=1e9, size=67_000, every=None, frames=32) < 250


def test_a_limit_has_to_be_above_zero():
    with pytest.raises(UserError, match="seconds=0 is not a valid limit"):
        Limits(seconds=0)
