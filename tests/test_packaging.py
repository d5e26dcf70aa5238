"""An installed wheel works like the checkout: it carries every YAML file and every detector, and finds them."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


FILES = ("model.safetensors", "config.json", "README.md")  # of a detector


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a wheel and a source distribution of this checkout, with one more detector in it."""
    folder = tmp_path_factory.mktemp("built")
    checkout = folder / "checkout"
    for name in ("src", "configs"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".gitignore", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout / name)
    detector = checkout / "src" / "addnet" / "detectors" / "one-more"
    detector.mkdir(parents=True)
    for name in FILES:
        (detector / name).write_text("{}")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def installed(built):
    """The contents of the wheel, as an installer would lay them down."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(built / "site")
    return built / "site"


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


_FROM = """
import sys
from pathlib import Path
import addnet
assert Path(addnet.__file__).is_relative_to(sys.argv.pop(1)), addnet.__file__
from addnet.__main__ import main
main()
"""
TINY = ["model=timm", "model.backbone=test_efficientnet", "data.image_size=64", "data.num_workers=0", "trainer=cpu"]
TINY += ["data.generate={train: 16, test: 4, size: 112, views: 1}", "prepare.workers=0", "trainer.max_epochs=1"]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["predict", "face.png", "workers=0"], "1 file: 1 "),
        (["train", "experiment=demo", "logger=none", "callbacks=[best]", *TINY], "best checkpoint on test"),
    ],
    ids=["predict", "demo"],
)
def test_what_was_installed_predicts_and_trains_anywhere(installed, tmp_path, portrait, arguments, answer):
    Image.fromarray(portrait[0]).save(tmp_path / "face.png")
    environment = os.environ | {"PYTHONPATH": str(installed), "COMET_API_KEY": ""}
    command = [sys.executable, "-c", _FROM, str(installed), *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert answer in done.stdout
    assert (tmp_path / "outputs").is_dir()


def test_wheel_and_sdist_carry_the_detectors_and_the_installation_knows_them(built, installed):
    known = {file.parent.name for file in ROOT.glob("src/addnet/detectors/*/config.json")} | {"one-more"}
    code = "from addnet.inference import shipped; print(*shipped.names(), shipped.FOLDER)"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    *names, folder = said.stdout.split()
    assert (set(names), Path(folder)) == (known, installed / "addnet" / "detectors")
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        packed = {Path(name).relative_to(Path(name).parts[0]) for name in source.getnames()}
    for name in known:
        for file in FILES:
            assert (installed / "addnet" / "detectors" / name / file).is_file()
            assert Path("src", "addnet", "detectors", name, file) in packed


def test_the_wheel_carries_template_and_style_of_the_page(installed):
    page = installed / "addnet" / "inference" / "page"
    assert {"fragment.html.j2", "page.css"} <= {file.name for file in page.iterdir()}
