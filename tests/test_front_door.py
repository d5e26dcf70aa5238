"""`addnet COMMAND` is `python -m addnet.COMMAND`; alone it lists commands; Tab completes them in three shells."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from addnet.__main__ import main
from addnet.commands import COMMANDS, GROUPS, overview
from addnet.completion import SCRIPTS, complete
from addnet.versions import build_of_torch, versions_in_words
from warm import PATH

BASH = """
source <(addnet --completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
_addnet
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { }
compadd() { shift 3; print -l -- "$@" }
compset() { }
_files() { print files }
source <(addnet --completion zsh)
LBUFFER=$1
_addnet
"""
FISH = 'addnet --completion fish | source; complete -C "$argv[1]"'


@pytest.fixture
def typed(monkeypatch, capsys):
    """What the program prints and its exit code."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["addnet", *words])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return code, "".join(capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a script in a shell that finds `addnet` on its path; skips without the shell."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "addnet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m addnet "$@"\n')
    (folder / "addnet").chmod(0o755)
    (folder / "faces").mkdir()
    environment = os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": PATH,
        "HOME": str(folder),
    }

    def run(name, *arguments):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
        ended = subprocess.run(
            [name, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    return run


def test_alone_it_lists_every_command_once_in_groups(typed):
    assert typed() == typed("--help") == (0, overview())
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)
    for name in COMMANDS:
        assert len(re.findall(rf"^  {name}  +\S", overview(), re.MULTILINE)) == 1, name


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trian", "there is no such command. Did you mean 'train'?"),
        ("seed=1", "Settings come after a command: addnet train seed=1."),
        (".", "To analyse a file: addnet predict .."),
        ("x", "there is no such command. addnet --help lists all commands"),
    ],
)
def test_what_is_no_command_is_answered_with_what_was_meant(typed, word, said):
    code, output = typed(word)
    assert code == 2
    assert said in output


def test_versions_are_told_without_importing_anything(typed):
    assert typed("--version") == (0, versions_in_words())
    assert build_of_torch() in versions_in_words()
    found = dict(line.split(None, 1) for line in versions_in_words().splitlines())
    assert {"addnet", "python", "torch", "pytorch-lightning", "timm"} <= set(found)
    code = "import sys; sys.argv = ['addnet', '--version']; from addnet.__main__ import main; main(); "
    code += "sys.exit(len({'torch', 'hydra', 'numpy'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": PATH}, check=True, capture_output=True)


def test_a_command_is_what_python_dash_m_runs_so_that_its_processes_start_alike(typed, monkeypatch):
    from addnet import cli
    from addnet.launch import command_form

    seen = []

    def shown(words, command):
        seen.append((command, command_form(), list(words)))
        return True

    monkeypatch.setattr(cli, "show_help", shown)
    typed("train", "seed=1")
    assert typed("data", "check", "data.data_dir=x")[0] == 0
    python = [sys.executable, "-m"]
    assert seen == [
        ("train", [*python, "addnet.train"], ["seed=1"]),
        ("data check", [*python, "addnet.data.__main__"], ["data.data_dir=x"]),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("addnet tr", ["train"]),
        ("addnet data ", ["audit", "check", "explain-names"]),
        ("addnet case v", ["verify"]),
        ("addnet train optimizer=", ["optimizer=adam", "optimizer=adamw", "optimizer=sgd"]),
        ("addnet train optimizer.l", ["optimizer.layer_decay=", "optimizer.lr="]),
        ("addnet train model=bandpass model.ker", ["model.kernel_size="]),
        ("addnet train dat", ["data.", "data="]),
        ("addnet train 'data.data_dir=a", []),  # files
        ("addnet summarize ", []),
        ("addnet nothing ", []),
    ],
)
def test_the_end_of_a_line_is_completed(line, found):
    assert complete(line) == found


def test_bash_completes(shell):
    def completed(line):
        return shell("bash", "--norc", "-c", BASH, "bash", line)

    assert completed("addnet tr") == ["train"]
    assert completed("addnet train optimizer=ada") == ["adam", "adamw"]  # what stands behind the last = alone
    assert completed("addnet train ckpt=") == [""]  # files


def test_zsh_completes(shell):
    def completed(line):
        return shell("zsh", "-f", "-c", ZSH, "zsh", line)

    assert completed("addnet tr") == ["train"]
    assert completed("addnet train optimizer=ada") == ["optimizer=adam", "optimizer=adamw"]
    assert completed("addnet predict x") == ["files"]


def test_fish_completes(shell):
    assert shell("fish", "--no-config", "-c", FISH, "addnet tr") == ["train"]
    wanted = ["optimizer=adam", "optimizer=adamw"]
    assert shell("fish", "--no-config", "-c", FISH, "addnet train optimizer=ada") == wanted
    assert "faces/" in shell("fish", "--no-config", "-c", FISH, "addnet predict fac")


def test_another_shell_is_told_which_there_are(typed):
    code, output = typed("--completion", "csh")
    assert code == 2
    assert "choose one of: bash, zsh, fish" in output
    assert typed("--completion", "fish") == (0, SCRIPTS["fish"])
