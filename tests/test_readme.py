"""What the documents tell people to type is real: modules exist, overrides compose, files are there."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from addnet.config import compose

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def _commands(document):
    for block in re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def _first(override):
    """The first of the values that a sweep takes."""
    return re.sub(r",[^]]*$", "", override).replace("interval(", "").replace("ablation=glob(*)", "ablation=base")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist_and_their_overrides_compose(document):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for words in _commands(document):
        if words[0] == "make":
            assert set(words[1:]) <= targets, words
        if "-m" in words and words[words.index("-m") + 1].startswith("addnet."):
            module, *overrides = words[words.index("-m") + 1 :]
            assert importlib.util.find_spec(module), words
            if module in ("addnet.train", "addnet.models"):
                single = [_first(o) if "-m" in overrides else o for o in overrides if o != "-m"]
                compose([] if "--resume" in overrides else single)
            if module in ("addnet.app", "addnet.evaluate", "addnet.predict"):
                compose([o for o in overrides if "=" in o], config_name=module.removeprefix("addnet."))
            if module == "addnet.prepare":
                compose([o for o in overrides if o != "…" and "$(" not in o], config_name="prepare")
            if module == "addnet.export":
                compose(overrides, config_name="export")
            if module == "addnet.data":
                command, *overrides = overrides
                compose([o for o in overrides if o != "…"], config_name={"check": "train", "audit": "audit"}[command])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), link


def test_every_group_of_the_readme_is_there_and_no_other():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("| group | files |")[1].split("\n\n")[0]
    for file in ROOT.glob("configs/*/*.yaml"):
        if file.parent.name in ("paths", "hydra", "local") or (file.parent.name, file.stem) == (
            "debug",
            "default",
        ):
            continue
        assert f"`{file.stem}`" in text, file
