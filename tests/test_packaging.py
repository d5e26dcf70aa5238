"""An installed wheel works like the checkout: it carries every YAML file and finds it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The contents of a wheel that is built here, as an installer would lay them down."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_carries_every_file_of_configs(installed):
    here = {
        file.relative_to(ROOT / "configs") for file in ROOT.glob("configs/**/*.yaml") if file.parent.name != "local"
    }
    there = {file.relative_to(installed / "addnet/configs") for file in installed.glob("addnet/configs/**/*.yaml")}
    assert here == there
    assert (installed / "addnet" / "py.typed").is_file()
    assert (installed / "addnet" / "evaluation" / "report" / "page.html.j2").is_file()


@pytest.mark.parametrize("form", ["module", "script"])
def test_the_command_starts_from_the_wheel_anywhere(installed, tmp_path, form):
    script = "import sys; from addnet.train import main; sys.exit(main())"
    start = ["-m", "addnet.train"] if form == "module" else ["-c", script]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, *start, "model=bandpass", "--cfg", "job"]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "kernel_size: 31" in result.stdout
    where = subprocess.run(
        [sys.executable, "-c", "from addnet.config import config_dir; print(config_dir())"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(installed / "addnet" / "configs")


def test_the_wheel_carries_template_and_style_of_the_page(installed):
    page = installed / "addnet" / "inference" / "page"
    assert {"fragment.html.j2", "page.css"} <= {file.name for file in page.iterdir()}
