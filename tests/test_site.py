"""`make site`: every page and link is there, strictly, and nothing is fetched from elsewhere."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from addnet.commands import COMMANDS
from addnet.config import config_dir, files_of
from addnet.config_help import settings_in
from warm import PATH

pytestmark = pytest.mark.slow

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
    folder = ROOT / "docs"
    documents = [path.relative_to(folder) for path in (*folder.glob("*.md"), *folder.glob("concepts/*.md"))]
    for document in documents:
        assert (site / document.with_suffix(".html")).is_file(), document
    home = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="detectors/lite.html"' in home
    assert 'src="images/app.png"' in home
    named = re.findall(r"^ +- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {document.as_posix() for document in documents} <= set(named)


def test_the_reference_has_every_command_and_what_python_calls(site):
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"<code>addnet {name}</code>" in commands, name
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in ("from_pretrained", "DeepfakeDataModule", "AttentionMask", "BandpassLayer"):
        assert name in python
    assert "test_fraction" in python


def test_the_settings_page_has_every_group_file_and_key(site):
    page = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    configs = Path(config_dir())
    for file in configs.rglob("*.yaml"):
        group, _, choice = file.relative_to(configs).with_suffix("").as_posix().rpartition("/")
        group, choice = (group.split("/")[0], f"{group}/{choice}".partition("/")[2]) if group else ("", choice)
        named = choice if group == "ablation" else f"{group}={choice}" if group else f"{choice}.yaml"
        assert f"<code>{named}</code>" in page, file
        for setting in settings_in(group, choice).settings:
            shown = f"{setting.key}={setting.default}" if group == "ablation" else setting.key
            assert not setting.default or f"<code>{html.escape(shown, quote=False)}</code>" in page, (file, setting.key)


def test_every_setting_says_what_it_means():
    """Beside its key, that of what it is part of, or in a file that it builds on; recipes set keys of other files."""
    obvious = re.compile(r"hydra\.job\.name|hydra\.(run|output_subdir)\b|hydra\.\w*logging|trainer\.plugins")
    for group in ("", *(path.name for path in Path(config_dir()).iterdir() if path.is_dir())):
        choices = files_of(group) if group else {said.config for said in COMMANDS.values() if said.config}
        for choice in choices:
            if "@package" in Path(config_dir(), group, f"{choice}.yaml").read_text(encoding="utf-8"):
                continue
            settings = settings_in(group, choice).settings
            said = {setting.key for setting in settings if setting.comment or setting.above}
            silent = {
                setting.key
                for setting in settings
                if not any(setting.key == key or setting.key.startswith(f"{key}.") for key in said)
            }
            assert not {key for key in silent if not obvious.match(key)}, (group, choice)


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"', text)
        fetched += re.findall(r'<link[^>]* href="(https?:[^"]+)"[^>]*rel="(?:stylesheet|preconnect)"', text)
        assert not fetched, (page, fetched)
