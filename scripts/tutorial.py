"""Runs the tutorial as a new user would, and writes docs/tutorial.md with what every command printed.

    python scripts/tutorial.py                      # new environment from the wheel; some GB and ten minutes
    python scripts/tutorial.py --python PATH        # addnet as installed beside that Python; into outputs/tutorial.md

`scripts/tutorial.md` has the text and the commands. A comment above a block says what isn't done like the others:
`<!-- install -->` is left out with `--python`, `<!-- cut: first 12, last 4 -->` shortens what was printed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TEMPLATE, PAGE = ROOT / "scripts" / "tutorial.md", ROOT / "docs" / "tutorial.md"
INSTALL = "install"
COLUMNS = "100"
_BLOCK = re.compile(r"(?:<!-- (?P<how>[^>]*) -->\n)?```bash\n(?P<commands>.*?)```\n", re.DOTALL)
_PRINTED = re.compile(r"(```bash\n.*?```\n)\n```text\n.*?```\n", re.DOTALL)
_CUT = re.compile(r"cut: first (\d+), last (\d+)")
_STABLE = (  # what differs between runs → what stands for it
    (re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}"), "TIME"),
    (re.compile(r"^.*, \d+:\d\d:\d\d left\b.*\n", re.MULTILINE), ""),  # how far it is, where it takes long
    (re.compile(r"\b\d+(?:\.\d+)? (videos|batches|images)/(s|min)\b"), r"N \1/\2"),
    (re.compile(r"(epoch \d+/\d+: .*), \d+:\d\d$", re.MULTILINE), r"\1, M:SS"),
    (re.compile(r"-[0-9a-f]{8}(?=[._])"), "-HASH"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
    (re.compile(r"\n{3,}"), "\n\n"),
)


class Block(NamedTuple):
    """A block of commands, and how it is treated."""

    commands: str
    how: str


def blocks(template: str) -> Iterator[Block]:
    """The blocks of a template in their order."""
    for found in _BLOCK.finditer(template):
        yield Block(found["commands"], found["how"] or "")


def rendered(template: str, printed: Sequence[str]) -> str:
    """The page: the template with what each block printed below it, where it printed anything."""
    outputs = iter(printed)

    def with_output(found: re.Match[str]) -> str:
        shown = _shortened(next(outputs), found["how"] or "")
        below = f"\n```text\n{shown}\n```\n" if shown else ""
        return f"```bash\n{found['commands']}```\n{below}"

    return _BLOCK.sub(with_output, template)


def without_output(page: str) -> str:
    """A page as its template has it, but for the comments."""
    return _PRINTED.sub(r"\1", page)


def _shortened(text: str, how: str) -> str:
    lines = text.splitlines()
    if cut := _CUT.search(how):
        first, last = map(int, cut.groups())
        lines = lines if len(lines) <= first + last else [*lines[:first], "…", *lines[-last:]]
    return "\n".join(lines)


def stable(text: str) -> str:
    """What was printed, without what differs between two runs."""
    for pattern, name in _STABLE:
        text = pattern.sub(name, text)
    return text.strip("\n")


def run(steps: Sequence[Block], folder: Path, python: Path | None) -> list[str]:
    """Runs blocks in one shell, one after the other; returns what each printed.

    Raises:
        RuntimeError: A command failed.
    """
    mark = "=== end of block ==="
    script = ["set -e"]
    for step in steps:
        commands = "" if python and step.how == INSTALL else step.commands
        # the folder of the newest run of a command, as its user would copy it from the line that names it
        commands = re.sub(r"outputs/(\w+)/TIME", r'"$(ls -d outputs/\1/*-* | tail -n 1)"', commands)
        script += [commands, f"echo '{mark}'"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=_environment(python),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    *printed, rest = done.stdout.split(f"{mark}\n")
    if done.returncode:
        raise RuntimeError(f"this ended with {done.returncode}:\n{steps[len(printed)].commands}{rest}")
    return [stable(text) for text in printed]


def _environment(python: Path | None) -> dict[str, str]:
    """That of a new user: nothing of this checkout, no keys; pip says nothing of mirrors."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COMET", "VIRTUAL_ENV"))
    }
    if python:
        kept["PATH"] = f"{python.absolute().parent}{os.pathsep}{kept['PATH']}"
    return kept | {"COLUMNS": COLUMNS, "NO_COLOR": "1", "PIP_QUIET": "2", "LC_ALL": "C.UTF-8"}


def _clone(folder: Path) -> None:
    """What git knows of this checkout, with changes that aren't committed yet."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs it all and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, help="of an environment with addnet[export]; installs nothing")
    parser.add_argument("--keep", type=Path, help="folder to work in, which then stays; must not exist")
    arguments = parser.parse_args(argv)
    template = TEMPLATE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary) / "addnet").absolute()
        _clone(folder)
        page = rendered(template, run(list(blocks(template)), folder, arguments.python))
        if str(folder.parent) in page:
            raise RuntimeError(f"the page names {folder.parent}, a folder of this machine:\n{page}")
    target = ROOT / "outputs" / "tutorial.md" if arguments.python else PAGE
    target.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
