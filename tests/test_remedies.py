"""What error texts tell people to type works as it is printed: every KEY=VALUE and every command of the program."""

import ast
import re
import shlex
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import addnet
from addnet.commands import COMMANDS
from addnet.config import compose, config_dir
from addnet.data.layouts.manifest import scan_manifest
from addnet.errors import UserError
from addnet.overrides import for_hydra
from config_keys import homes

pytestmark = pytest.mark.slow

SHELL = "completion.py"  # scripts, whose words are no settings
SOURCES = sorted(file for file in Path(addnet.__path__[0]).rglob("*.py") if file.name != SHELL)
SOURCES += sorted(Path(addnet.__path__[0], "../hydra_plugins").resolve().rglob("*.py"))
HOLE = "‹›"  # what a text fills in
SETTING = re.compile(r"(?<![\w./›-])(['\"]?)(\+{0,2}[a-z_]+(?:[./][a-z_]+)*)=((?:\[[^\]]*\]|\{[^}]*\}|[^\s,;:)`'\"])+)")
# arguments of Python functions, whose values are shown; no command has them as keys
PYTHON = {
    "batch_size",
    "border",
    "chunk",
    "class_names",
    "combine",
    "count",
    "drop_rate",
    "every",
    "form",
    "high",
    "image_size",
}
PYTHON |= {"kernel_size", "key", "low", "margin", "mode", "num_classes", "order", "parts", "placement", "sigma_high"}
PYTHON |= {"sigma_low", "size", "temperature", "value_range", "max_side", "max_spread", "padding", "prefix"}


def _text(node):
    """A string of the source, with holes; None for what is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else _filled(part.value) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_text(node.left), _text(node.right)]
        return None if parts == [None, None] else "".join(part or HOLE for part in parts)
    return None


def _filled(node):
    """What an expression in a text may become: the text that `shlex.quote` is given, else a hole."""
    quoted = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "quote"
    return (_text(node.args[0]) or HOLE) if quoted else HOLE


@cache
def texts():
    """All strings that aren't documentation, as `(file:line, text)`."""
    found = []
    for file in SOURCES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        skipped = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):
                skipped.add(node.value)
            if isinstance(node, (ast.JoinedStr, ast.BinOp)):
                skipped |= set(ast.walk(node)) - {node}
            if isinstance(node, ast.expr) and node not in skipped and (text := _text(node)):
                found.append((f"{file.name}:{node.lineno}", re.sub(r"%[sd]|%\.\df", HOLE, text)))
    return found


def settings():
    """Every KEY=VALUE that a text names, with where: `{(key, value): place}`; it is one word of a shell."""
    found = {}
    for place, text in texts():
        for quote, key, value in SETTING.findall(text):
            word = f"{key}={value.rstrip('.…')}"
            assert quote or HOLE in word or shlex.split(word) == [word], f"{place}: {word} needs quotes"
            found.setdefault((key, value.rstrip(".…")), place)
    return found


def test_there_are_texts_to_look_at():
    assert len(settings()) > 100
    assert ("hydra/launcher", "isolated") in settings()


def test_every_key_in_a_text_is_a_key():
    lost = {f"{place}: {key}={value}" for (key, value), place in settings().items() if not any(homes(key))}
    assert {line for line in lost if line.split(": ")[1].split("=")[0] not in PYTHON | {"ntasks"}} == set()


def test_arguments_of_python_are_shown_and_not_advised():
    for (key, value), place in settings().items():
        if key in PYTHON and not any(homes(key)):
            assert HOLE in value or value == "reflect", f"{place}: {key}={value} is advised, but is no key of a config"


def test_every_value_in_a_text_composes_as_it_is_printed():
    together = defaultdict(list)
    for (key, value), place in settings().items():
        if HOLE in value or key.startswith("hydra") or not (found := [*homes(key)]):
            continue
        if Path(config_dir(), key).is_dir():
            for name in value.strip("[]").split(","):
                assert Path(config_dir(), key, f"{name}.yaml").is_file(), f"{place}: {key}={value}"
        else:
            together[found[0]].append(for_hydra(f"{key}={value}"))
            if value.startswith(("{", "[")):  # which would be merged with what was there before
                compose([*([found[0][1]] if found[0][1] else []), together[found[0]].pop()], config_name=found[0][0])
    assert len(together) > 5
    for (config, file), words in together.items():
        compose([*([file] if file else []), *words], config_name=config)


def test_every_command_in_a_text_exists():
    command = re.compile(r"(?:[`(:] ?|  |by |see )addnet ([a-z]+)(?: (check|audit|explain-names|verify)\b)?")
    named = {found for _, text in texts() for found in command.findall(text)}
    assert len(named) > 5
    for name, below in named:
        assert f"{name} {below}".strip() in COMMANDS, name


@pytest.mark.parametrize("name", ["columns={path: …}", "labels={real: text}"])
def test_options_that_map_take_what_is_typed(name):
    option, value = name.split("=")
    cfg = compose(["data=manifest", f"data.options.{option}={value.replace('…', 'file')}"])
    assert len(cfg.data.options[option]) == 1
    added = compose(["data=manifest", f"+data.options.{option}.real=text"])
    assert added.data.options[option] == {"real": "text"}


def test_printed_paths_can_be_typed(tmp_path):
    folder = tmp_path / "it's (1), a=b #2"
    folder.mkdir()
    with pytest.raises(UserError, match="must hold exactly one manifest") as caught:
        scan_manifest(folder)
    (word,) = shlex.split(str(caught.value).split("name the file: ")[1])
    assert compose([for_hydra(word)]).data.data_dir == f"{folder}/manifest.csv"
