"""`addnet app` in a real browser: files go up, words come back, nothing leaves the machine or stays."""

import os
import re
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from PIL import Image

import browsing
import media
import warm
from addnet.inference import Detector
from addnet.inference.answering.private import remove_left_behind
from addnet.inference.page.words import percent
from checkpoints import checkpoint
from trainings import ended, launch

pytestmark = pytest.mark.slow

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'addnet[app]'")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", name="bandpass", kernel_size=7)


@pytest.fixture(scope="module")
def served(path, tmp_path_factory):
    """A server that runs while the tests of this file do: its process, address and temporary folder."""
    temporary = tmp_path_factory.mktemp("temporary")
    process, url = browsing.start(path, temporary)
    yield process, url, temporary
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def face(portrait, tmp_path_factory):
    file = tmp_path_factory.mktemp("face") / "face.png"
    Image.fromarray(portrait[0]).save(file)
    return file


def _uploads(temporary):
    """What is left of uploads; Gradio makes an empty file at its start."""
    files = [file for file in temporary.glob("addnet-app-*/**/*") if file.is_file() and "examples" not in file.parts]
    return [file for file in files if file.stat().st_size]


def test_a_portrait_gets_its_verdict_and_every_reason(served, path, face, tmp_path):
    expected = Detector.from_checkpoint(path, device="cpu").predict(face)
    with browsing.page(served[1]) as (opened, asked):
        said = browsing.drop(opened, face)
        opened.screenshot(path=tmp_path / "page.png", full_page=True)
        widths = opened.eval_on_selector_all("#said img", "all => all.map(image => image.naturalWidth)")
    assert expected.verdict.capitalize() in said
    assert percent(expected.probability) in said
    assert f"score is {expected.score:.4f}" in said
    assert "threshold: 0.4000, from validation" in said
    assert len(widths) == 6
    assert min(widths) > 150
    assert max(Image.open(tmp_path / "page.png").size) > 900
    assert {re.sub(r"(//[^/]*/).*", r"\1", url) for url in asked if not url.startswith("data:")} == {served[1]}
    assert not _uploads(served[2])


def test_what_is_no_image_is_answered_in_words_and_the_next_can_be_dropped(served, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    Image.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / "grey.png")
    with browsing.page(served[1]) as (opened, _):
        assert "Not an image" in browsing.drop(opened, tmp_path / "text.jpg")
        assert "No face was found in this image" in browsing.drop(opened, tmp_path / "grey.png")
        assert "Traceback" not in opened.content()


def test_a_video_gets_its_timeline_on_a_narrow_screen(served, video_dir):
    with browsing.page(served[1], width=400) as (opened, _):
        said = browsing.drop(opened, video_dir / "test" / "fake" / "p3_p10.mp4")
        opened.get_by_role("img", name=re.compile("Scores of 6 frames")).wait_for()
        assert opened.evaluate("document.documentElement.scrollWidth") <= 400
    assert "6 frames were examined" in said
    assert "Score over time" in said
    assert not _uploads(served[2])


def test_a_video_without_frames_is_answered_in_words(served, tmp_path):
    with browsing.page(served[1]) as (opened, _):
        assert "no video" in browsing.drop(opened, media.write_sound(tmp_path / "song.mp4"))


def test_an_example_is_tried_by_the_keyboard_alone(served):
    with browsing.page(served[1]) as (opened, _):
        button = opened.get_by_role("button", name="Its face swapped")
        for _ in range(20):
            opened.keyboard.press("Tab")
            if button.evaluate("button => button === document.activeElement"):
                break
        opened.keyboard.press("Enter")
        opened.locator("#said .probability").wait_for()


def test_the_same_image_from_two_visitors_at_once_is_answered_for_twice(served, face):
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(browsing.ask, served[1], face, session=session) for session in ("one", "two")]
        assert all("score is" in one.result() for one in asked)
    assert not _uploads(served[2])


def test_it_listens_on_loopback_alone(served):
    process, url, _ = served
    listening = [
        connection.laddr.ip
        for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True))
        for connection in one.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for other in others - {"127.0.0.1"}:
        with socket.socket() as knock:
            assert knock.connect_ex((other, int(url.rstrip("/").split(":")[-1]))) != 0


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_cleanly_and_leaves_no_files(path, tmp_path, way):
    process, _ = browsing.start(path, tmp_path)
    try:
        assert list(tmp_path.glob("addnet-app-*"))
        process.send_signal(way)
        said, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_server_that_is_killed_leaves_no_process_and_the_next_one_removes_its_folder(path, tmp_path):
    process, _ = browsing.start(path, tmp_path)
    readers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert len(readers) >= 3
    assert not psutil.wait_procs(readers, timeout=60)[1]
    assert list(tmp_path.glob("addnet-app-*"))
    assert remove_left_behind(tmp_path)
    assert not list(tmp_path.iterdir())


def test_mistakes_end_in_a_sentence_and_leave_nothing(tmp_path, path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, sentence in (
        (("ckpt=null",), "ckpt is not set"),
        ((f"ckpt={tmp_path}/none.ckpt",), "no such file"),
        ((f"ckpt={path}", "limits.frames=0"), "limits.frames=0 must be above 0"),
        ((f"ckpt={path}", "blok=stem"), "did you mean block"),
    ):
        said = ended(launch(*arguments, module="addnet.app"), code=1)
        assert sentence in said
        assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


WITHOUT_GRADIO = """
import sys
sys.modules["gradio"] = None
sys.argv = ["app", "ckpt=a.ckpt"]
from addnet.app import main
main()
"""


def test_without_gradio_the_remedy_is_named(tmp_path):
    command = [sys.executable, "-c", WITHOUT_GRADIO]
    told = warm.run(command, cwd=tmp_path, code=1)
    assert "pip install 'addnet[app]'" in told
