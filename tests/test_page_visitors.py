"""Visitors of the page don't wait for each other, are given up in time, and leave nothing behind."""

import asyncio
import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import copy
from dataclasses import replace

import pytest
from filelock import FileLock
from PIL import Image

from addnet.errors import UserError
from addnet.inference import Detector
from addnet.inference.answering.asking import UploadLimits, Visit
from addnet.inference.answering.errand import FileTask
from addnet.inference.answering.private import private_folder, remove_left_behind
from addnet.inference.answering.turns import TaskQueue
from addnet.inference.answering.uploads import Upload, Uploads
from addnet.inference.page.desk import PageHandler
from addnet.inference.page.visitors import Visitors
from checkpoints import checkpoint

pytestmark = pytest.mark.slow

LONG = 120.0  # seconds that nothing here takes unless it waits for what it must not


def write_gif(file, *, side, frames):
    """A GIF of few bytes, whose frames are large and take long: each puts one dot on a canvas."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes((0, 0, 0, 255, 255, 255))
    frame = b"\x21\xf9\x04\0\2\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    file.write_bytes(head + frame * frames + b";")
    return file


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector.from_checkpoint(checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt"), device="cpu")


@pytest.fixture(scope="module")
def visit(detector):
    with closing(Visit(detector, UploadLimits(max_gigapixels=40), workers=2)) as visit:
        visit.readers.wait_until_ready()
        yield visit


@pytest.fixture
def face(portrait, tmp_path):
    Image.fromarray(portrait[0]).save(tmp_path / "face.png")
    return tmp_path / "face.png"


@pytest.fixture
def hostile(tmp_path):
    return write_gif(tmp_path / "hostile.gif", side=4000, frames=2000)


def processes(visit):
    return set(visit.readers._all)


def test_a_gif_of_a_few_bytes_with_many_large_frames_is_refused_unread(visit, tmp_path):
    said = visit.ask(write_gif(tmp_path / "a.gif", side=4000, frames=2900))
    assert "2,900 frames of 4000×4000 pixels, 46 gigapixels in all; at most 40 are allowed" in said.answer.reason


def test_an_honest_visitor_is_answered_while_others_files_are_read_which_end_when_they_are_given_up(
    visit, face, hostile
):
    errand, before = FileTask(), processes(visit)
    with ThreadPoolExecutor() as threads:
        theirs = threads.submit(visit.ask, hostile, errand=errand)
        assert visit.ask(face).answer.faces
        assert not theirs.done()
        errand.give_up("it takes too long")
        assert theirs.result(LONG).answer.reason == "it takes too long"
    assert len(processes(visit)) == 2
    assert len(processes(visit) & before) == 1  # a fresh one stands where one was killed
    assert visit.ask(face).answer.faces


def test_what_was_refused_costs_no_process(visit, tmp_path):
    before = processes(visit)
    (tmp_path / "text.jpg").write_text("hello")
    for _ in range(3):
        assert "not an image" in visit.ask(tmp_path / "text.jpg").answer.reason
    assert processes(visit) == before


def test_who_had_less_of_the_network_is_next():
    turns, order, begun, go = TaskQueue(), [], threading.Event(), threading.Event()
    greedy, modest = FileTask(), FileTask()
    greedy.had = 5.0

    def first():
        begun.set()
        go.wait(LONG)

    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(turns.do, FileTask(), first)]
        assert begun.wait(LONG)
        for errand, name in ((greedy, "greedy"), (modest, "modest")):
            waiting.append(threads.submit(turns.do, errand, order.append, name))
            while len(turns._waiting) < len(waiting) - 1:
                time.sleep(0.001)
        go.set()
        [one.result(LONG) for one in waiting]
    assert order == ["modest", "greedy"]


def test_an_errand_that_is_given_up_has_no_turn():
    errand, done = FileTask(), []
    errand.give_up("nobody is waiting for the answer")
    errand.give_up("another reason")
    with pytest.raises(UserError, match="nobody is waiting"):
        TaskQueue().do(errand, done.append, 1)
    assert not done


# ---- the desk ------------------------------------------------------------------------------------------------


class Office:
    """A desk with all that it needs."""

    def __init__(self, visit, folder, *, grace=LONG):
        visitors = Visitors(grace=grace)
        self.uploads = Uploads(folder, most=1 << 20, quota=4 << 20, has_left=visitors.has_left)
        self.desk = PageHandler(visit, self.uploads, visitors)
        for session in ("one", "two"):
            visitors.expect(session)

    def upload(self, file, *, name="a.png"):
        """As if a visitor had sent it; returns its private name."""
        own = self.uploads.folder / f"{os.urandom(4).hex()}{file.suffix}"
        own.write_bytes(file.read_bytes())
        self.uploads._waiting[own.name] = Upload(own, name, own.stat().st_size, time.monotonic())
        return own.name

    def answers(self, *asked):
        """Answers for private names of uploads, each with its session, all asked at once."""

        async def answered():
            return await asyncio.wait_for(asyncio.gather(*(self.desk.answer(*one) for one in asked)), LONG)

        with closing(self.desk):
            return asyncio.run(answered())

    def left(self):
        return list(self.uploads.folder.iterdir())


@pytest.fixture
def office(visit, tmp_path):
    return Office(visit, tmp_path / "uploads")


def test_an_upload_is_gone_once_it_is_answered_for(office, face):
    (page,) = office.answers((office.upload(face, name="me.png"), "one"))
    assert "me.png" in page
    assert "Probability" in page
    assert not office.left()


def test_an_upload_is_gone_even_if_the_program_fails(office, face, monkeypatch):
    monkeypatch.setattr(office.desk.visit, "ask", lambda *_, **__: 1 / 0)
    (page,) = office.answers((office.upload(face), "one"))
    assert "The program failed" in page
    assert not office.left()


def test_a_file_that_is_nobodys_upload_is_neither_read_nor_deleted(office, face):
    pages = office.answers((str(face), "one"), (f"../{face.name}", "two"))
    assert all("Nothing here yet" in page for page in pages)
    assert face.is_file()


def test_the_same_image_asked_about_twice_at_once_is_answered_for_twice(office, face):
    pages = office.answers((office.upload(face), "one"), (office.upload(face), "two"))
    assert all("Probability" in page for page in pages)
    assert not office.left()


def test_work_ends_when_its_visitor_has_left(visit, hostile, tmp_path):
    office = Office(visit, tmp_path / "uploads", grace=0.0)
    (page,) = office.answers((office.upload(hostile), "one"))
    assert "Nobody is waiting for the answer" in page
    assert not office.left()


def test_work_ends_when_its_time_is_over(visit, hostile, tmp_path):
    hasty = copy(visit)
    hasty.limits = replace(visit.limits, max_work=0.2)
    office = Office(hasty, tmp_path / "uploads")
    (page,) = office.answers((office.upload(hostile), "one"))
    assert "It took longer than 0.2 seconds" in page
    assert not office.left()


def test_a_visitor_has_one_file_under_way(office, face, hostile):
    pages = office.answers((office.upload(hostile), "one"), (office.upload(face), "one"))
    assert "Another file was dropped" in pages[0]
    assert "Probability" in pages[1]


# ---- the folder ----------------------------------------------------------------------------------------------


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("addnet-app-killed", "addnet-app-other", "addnet-app-running", "mine"):
        (tmp_path / name / "uploads").mkdir(parents=True)
        (tmp_path / name / "uploads" / "a.png").write_bytes(b"data")
    for name in ("addnet-app-killed", "addnet-app-running", "mine"):
        (tmp_path / name / ".in-use").touch()
    (tmp_path / "addnet-app-link").symlink_to(tmp_path / "mine")
    with FileLock(tmp_path / "addnet-app-running" / ".in-use"), private_folder() as own:
        assert own.parent == tmp_path
        assert not remove_left_behind(tmp_path)  # its own is in use
        left = {folder.name for folder in tmp_path.iterdir()} - {own.name}
    assert left == {"addnet-app-other", "addnet-app-running", "addnet-app-link", "mine"}
    assert (tmp_path / "mine" / "uploads" / "a.png").is_file()
    assert not own.exists()
