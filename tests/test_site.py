"""`make site`: every page and link is there, strictly, and nothing is fetched from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from addnet.commands import COMMANDS
from trainings import PATH

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"PYTHONPATH": PATH, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_document_is_a_page_and_leads_on(site):
    for document in (ROOT / "docs").glob("*.md"):
        assert (site / f"{document.stem}.html").is_file(), document
    home = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="detectors/lite.html"' in home
    assert 'src="images/app.png"' in home
    named = re.findall(r"^ +- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {f"{document.name}" for document in (ROOT / "docs").glob("*.md")} <= set(named)


def test_the_reference_has_every_command_and_what_python_calls(site):
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"<code>addnet {name}</code>" in commands, name
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in ("from_pretrained", "DeepfakeDataModule", "AttentionMask", "BandpassLayer"):
        assert name in python
    assert "test_fraction" in python


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"', text)
        fetched += re.findall(r'<link[^>]* href="(https?:[^"]+)"[^>]*rel="(?:stylesheet|preconnect)"', text)
        assert not fetched, (page, fetched)
