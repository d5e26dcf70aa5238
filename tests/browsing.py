"""A real Chromium that uses the page, and the command that serves it."""

import json
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

import trainings

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
PATIENCE = 180_000  # milliseconds: the machine may be busy


def chromium():
    """Where Chromium is; skips the test where it is not."""
    if found := CHROMIUM if Path(CHROMIUM).is_file() else shutil.which("chromium"):
        return found
    pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")


@contextmanager
def page(url, *, width=1200):
    """A page in a browser of its own, and every address that it asked for."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        opened = browser.new_page(viewport={"width": width, "height": 900})
        opened.set_default_timeout(PATIENCE)
        asked = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(url)
        opened.get_by_role("heading", name="Nothing here yet").wait_for()
        yield opened, asked
        browser.close()


def drop(opened, file):
    """Uploads a file and waits for what is said about it."""
    opened.set_input_files("#drop input[type=file]", file)
    opened.locator("#said .name", has_text=Path(file).name).wait_for()
    return opened.inner_text("#said")


def start(checkpoint, temporary, *overrides):
    """Starts the command, whose temporary files lie in a folder; returns the process and the page's address."""
    arguments = [f"ckpt={checkpoint}", "detector.device=cpu", *overrides]
    process = trainings.launch(*arguments, module="addnet.app", env={"TMPDIR": str(temporary)})
    printed = []
    for line in process.stdout:
        printed.append(line)
        if found := re.search(r"the page: (\S+)", line):
            return process, found[1]
    process.wait()
    raise AssertionError("".join(printed))


def ask(url, file, *, session):
    """What a page does with a dropped file, by HTTP alone: the HTML of its answer."""
    httpx = pytest.importorskip("httpx", reason="httpx comes with Gradio")
    with httpx.Client(base_url=url, timeout=PATIENCE / 1000) as client:
        (path,) = client.post("/gradio_api/upload", files={"files": (Path(file).name, Path(file).read_bytes())}).json()
        question = {"data": [{"path": path}], "fn_index": 0, "trigger_id": 1, "session_hash": session}
        client.post("/gradio_api/queue/join", json=question).raise_for_status()
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
            messages = (json.loads(line.removeprefix("data:")) for line in lines.iter_lines() if line)
            return next(one["output"]["data"][0] for one in messages if one["msg"] == "process_completed")
