"""What the documents tell people to type is real: modules exist, overrides compose, files are there."""

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from addnet.commands import COMMANDS
from addnet.config import compose
from addnet.mistyped import refuse_flags, refuse_options
from addnet.overrides import for_hydra
from config_keys import WORDS, homes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/concepts/*.md")]


def _commands(document):
    for block in re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def _command(words):
    """A command of this program: its name and arguments, whoever starts it; None for other programs."""
    if any(word.endswith("slurm_train.sh") for word in words):
        return "train", words[[word.endswith("slurm_train.sh") for word in words].index(True) + 1 :]
    if words[0] in ("addnet", ".venv/bin/addnet"):
        name, *arguments = words[1:] or ["--help"]
    elif "-m" in words and words[words.index("-m") + 1].startswith("addnet."):
        module, *arguments = words[words.index("-m") + 1 :]
        name = module.removeprefix("addnet.")
    else:
        return None
    if name.startswith("-"):
        return None
    assert importlib.util.find_spec(f"addnet.{name}"), words
    return (f"{name} {arguments[0]}", arguments[1:]) if name in ("data", "case") else (name, arguments)


def _single(override):
    """An override with the first of the values that a sweep takes."""
    if override == "ablation=glob(*)":
        return "ablation=base"
    parsed = OverridesParser.create().parse_override(override)
    if parsed.is_sweep_override() and not parsed.is_interval_sweep():
        return f"{parsed.get_key_element()}={next(parsed.sweep_string_iterator())}"
    return re.sub(r"interval\(([^,]*),.*", r"\1", override)


@cache
def _composes(name, arguments):
    refuse_flags(arguments, command=name)
    refuse_options([word for word in arguments if word not in ("--quiet", "--resume")], command=name)
    words = WORDS[name](arguments) if name in WORDS else arguments
    overrides = [for_hydra(word) for word in words if not word.startswith("-")]
    if "-m" in arguments:
        overrides = [_single(word) for word in overrides if not word.startswith("hydra")]
    compose([] if "--resume" in arguments else overrides, config_name=COMMANDS[name].config)


# the command of extending.md needs the package of that page: tests/test_extending.py runs it
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.name != "extending.md"], ids=lambda path: path.name)
def test_commands_exist_and_their_overrides_compose(document):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for words in _commands(document):
        assert words[0] != "make" or {word for word in words[1:] if "=" not in word} <= targets, words
        scripts = [word for word in words if word.endswith((".py", ".sh")) and "/" in word]
        assert all((ROOT / script).is_file() for script in scripts), words
        if not (found := _command(words)):
            continue
        name, arguments = found
        arguments = tuple(word for word in arguments if word != "…" and "$(" not in word)
        if COMMANDS[name].config:
            _composes(name, arguments)
        else:
            module = "addnet.faces.__main__" if name == "faces" else f"addnet.{name}"
            importlib.import_module(module)._parser().parse_args(arguments)


def test_settings_in_the_text_are_keys():
    lost = set()
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/concepts/*.md")]:
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        spans = re.findall(r"`([a-z_]+(?:[./][a-z_]+)*)=([^`\s]*)`", text)
        lost |= {
            (document.name, key, value)
            for key, value in spans
            if value not in ("True", "False") and not any(homes(key))
        }
    assert not lost


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), link


def test_torch_of_the_readme_is_that_of_the_constraints():
    """Another one would be replaced by the next line, by the build for GPUs."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (line,) = (words for words in _commands(ROOT / "README.md") if "--index-url" in words)
    pinned = [word for word in line if "==" in word]
    assert len(pinned) == 2
    assert set(pinned) <= set(pins)


def test_every_group_of_the_readme_is_there_and_no_other():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("| group | files |")[1].split("\n\n")[0]
    for file in ROOT.glob("configs/*/*.yaml"):
        if file.parent.name in ("paths", "hydra", "local") or (file.parent.name, file.stem) == (
            "debug",
            "default",
        ):
            continue
        assert f"`{file.stem}`" in text, file
