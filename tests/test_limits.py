"""What one file may take is bounded: memory and time, in the process that opens it, and it costs only itself."""

import re
import sys
import time
from functools import partial

import cv2
import numpy as np
import pytest
from PIL import Image

from addnet.errors import UserError
from addnet.faces.images import MAX_PIXELS, read_image
from addnet.faces.videos import Video
from addnet.index.file import read_index
from addnet.index.records import Record, Records
from addnet.index.update import IndexUpdate
from addnet.pool import PoolJob, ProcessExecutor, call_within, run_local, streams
from addnet.preparation.images import prepare_images
from addnet.preparation.settings import PrepareSettings
from addnet.untrusted.limits import Limits, memory_in_words, prolong
from media import write_video

pytestmark = pytest.mark.slow

TINY = Limits(memory=100 << 20, seconds=2.0)
SHORT = Limits(seconds=1.0)
MUCH = 300 << 20  # bytes
needs_rlimit = pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")


def hostile(task, *, video=None):
    """Does what decoders of hostile files do: none of these ever gives Python a turn, or they ask for all memory."""
    if task == "hangs":
        re.fullmatch("(a+)+b", "a" * 64)
    if task == "numpy":
        np.ones(MUCH, np.uint8)
    if task == "opencv":
        cv2.resize(np.zeros((8, 8, 3), np.uint8), (12_000, 12_000))
    if task == "pillow":
        Image.new("RGB", (12_000, 12_000))
    if task == "video":
        list(Video(video).frames(every=1))
    if task == "caught":  # as readers of files do
        try:
            with memory_in_words():
                np.ones(MUCH, np.uint8)
        except UserError as error:
            return str(error)
    return task


@pytest.fixture(scope="module")
def executor():
    with ProcessExecutor(1) as executor:
        yield executor


@needs_rlimit
def test_what_takes_too_much_memory_or_time_costs_only_itself(executor, tmp_path):
    frames = [np.zeros((6000, 6000, 3), np.uint8)] * 2
    large = write_video(tmp_path / "large.avi", frames, codec="mjpeg", pixels="yuvj420p")
    tasks = ["before", "numpy", "between", "opencv", "pillow", "video", "caught", "hangs", "after"]
    job = PoolJob.of(partial(hostile, video=large), limits=TINY)
    lost = {"failed": lambda task, reason: (task, reason)}
    found = run_local(job, tasks, executor=executor, chunk=len(tasks), **lost)
    said = sorted(map(str, found))
    much = "it needs more than 100 MB of memory"
    refused = [("hangs", "took longer than 2 s"), *((task, much) for task in ("numpy", "opencv", "pillow", "video"))]
    assert said == sorted(["before", "between", "after", much, *map(str, refused)])


@needs_rlimit
def test_the_largest_image_that_is_read_takes_less_than_a_gigabyte(executor, tmp_path):
    """Loaders of training and evaluation need no other bound: what headers let pass is bounded by them."""
    side = int(MAX_PIXELS**0.5)
    dearest = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]  # coefficients are kept
    cv2.imwrite(str(tmp_path / "large.jpg"), np.zeros((side, side, 3), np.uint8), dearest)
    limits = Limits(memory=1 << 30, seconds=None)
    assert call_within(limits, executor, _pixels, tmp_path / "large.jpg") == side * side


def _pixels(path):
    image = read_image(path)
    return image.shape[0] * image.shape[1]


def test_a_call_that_takes_too_long_is_refused_and_the_next_one_is_answered(executor):
    with pytest.raises(UserError, match="took longer than 2 s"):
        call_within(TINY, executor, hostile, "hangs")
    assert call_within(TINY, executor, hostile, "honest") == "honest"


@needs_rlimit
def test_an_image_that_needs_too_much_is_unusable_in_its_index_and_the_others_are_there(tmp_path):
    Image.new("1", (7000, 7000)).save(tmp_path / "large.png")  # 147 MB as RGB
    Image.new("RGB", (64, 64)).save(tmp_path / "small.png")
    records = Records.of(
        Record(path=f"{name}.png", label=0, split="test", video_id=name, group_id=name, dataset="set")
        for name in ("large", "small")
    )
    with IndexUpdate(tmp_path / "i.parquet", tmp_path) as update:
        prepare_images(update, records, landmarker=None, run=PrepareSettings(memory_gb=0.125).run)
    rows = {row["path"]: row for row in read_index(tmp_path / "i.parquet")[0].to_pylist()}
    assert rows["large.png"]["reason"] == "it needs more than 128 MB of memory"
    assert (rows["small.png"]["reason"], rows["small.png"]["width"]) == (None, 64)


def slowly(task):
    if task == "quick":
        yield from range(20)
        return
    if task == "longer":
        prolong(lambda limits: limits.more_for_video(lasts=100, size=10**9, every=None, frames=1))
    for number in range(7):
        time.sleep(0.2)
        yield number


def test_time_of_a_stream_is_that_of_its_process_and_a_long_video_gets_more():
    said = {}
    job = PoolJob.of(slowly, limits=SHORT)
    for stream in streams(job, ["short", "longer", "quick"], workers=1, at_once=1):
        items = iter(stream)
        try:
            said[stream.task] = [next(items)]
            time.sleep(1.2 if stream.task == "quick" else 0)  # while nobody takes anything, nothing counts
            said[stream.task] += items
        except UserError as error:
            said[stream.task] = str(error)
    assert said == {"short": "took longer than 1 s", "longer": list(range(7)), "quick": list(range(20))}


def test_a_video_gets_time_by_its_length_as_far_as_it_has_bytes_for_it():
    more = Limits().more_for_video
    assert more(lasts=0, size=10**6, every=None, frames=32) == 160
    assert more(lasts=60, size=10**6, every=None, frames=32) == 760
    assert more(lasts=60, size=10**6, every=30, frames=None) == 60 * (10 + 2 * 5)
    assert more(lasts=1e9, size=67_000, every=None, frames=32) < 250


def test_a_limit_has_to_be_above_zero():
    with pytest.raises(UserError, match="seconds=0 is not a valid limit"):
        Limits(seconds=0)
    with pytest.raises(UserError, match="memory_gb='much' is not a valid limit"):
        PrepareSettings(memory_gb="much")
    assert Limits.of() == Limits()
