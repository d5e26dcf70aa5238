"""Exported files and folders are whole or not there; folders come back, and damaged ones are answered in words."""

import errno
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import warm
from addnet.checkpoints.file import FORMAT
from addnet.errors import NotWrittenError, UserError
from addnet.inference.export import export_checkpoint, load_exported, output
from exports import write_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("export") / "best.ckpt")


@pytest.fixture(scope="module")
def exported(ckpt, tmp_path_factory):
    """A folder; not to be changed."""
    return export_checkpoint(ckpt, tmp_path_factory.mktemp("exported") / "model", format="safetensors").output


# ---- folders that come back --------------------------------------------------------------------------------


@pytest.fixture
def folder(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "model"))


def _edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def _cut(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100_000])


def _turn(folder):
    file = folder / "model.safetensors"
    contents = bytearray(file.read_bytes())
    contents[-5] ^= 1
    file.write_bytes(contents)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"no config\.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"no model\.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "damaged"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"), "damaged"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "vit"}'), "not of this program"),
        (lambda folder: (folder / "config.json").write_bytes(b" " * 2**21), "not the description"),
        (lambda folder: _edit(folder, format=99), "format 99"),
        (lambda folder: _edit(folder, model={"name": "os.system"}), "choose one of"),
        (lambda folder: _edit(folder, model={"name": "addnet", "in_chans": 10**9}), "numbers up to 65,536"),
        (lambda folder: _edit(folder, model={"name": "addnet", "num_classes": 10**30}), "numbers up to 65,536"),
        (lambda folder: _edit(folder, model={"name": "addnet", "drop_rate": "x"}), "must be a number"),
        (lambda folder: _edit(folder, model={"name": "addnet", "__class__": 1}), "not an option"),
        (lambda folder: _edit(folder, model={"name": ["addnet"]}), "its model.name is .*; expected a text"),
        (lambda folder: _edit(folder, model={"name": "bandpass"}), "does not fit"),
        (_cut, "damaged"),
        (_turn, "not from the same export"),
    ],
)
def test_damaged_and_foreign_folders_are_answered_in_words(folder, damage, reason):
    damage(folder)
    with pytest.raises(UserError, match=reason):
        load_exported(folder)


@pytest.mark.parametrize("place", ["missing", "file"])
def test_no_folder_is_answered_in_words(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        load_exported(tmp_path / place)


# ---- whole or not there ------------------------------------------------------------------------------------


def test_what_is_there_stays_unless_told_otherwise(ckpt, tmp_path):
    file = tmp_path / "model.pt2"
    file.write_text("mine")
    with pytest.raises(UserError, match="overwrite=true"):
        export_checkpoint(ckpt, file, format="torch_export")
    assert file.read_text() == "mine"
    export_checkpoint(ckpt, file, format="torch_export", overwrite=True)
    assert zipfile.is_zipfile(file)


def test_a_folder_with_other_things_is_never_touched(ckpt, folder):
    (folder / "notes.txt").write_text("mine")
    export_checkpoint(ckpt, folder, format="safetensors", overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"  # beside an export it stays
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="isn't changed"):
        export_checkpoint(ckpt, folder, format="safetensors", overwrite=True)


def test_a_full_disk_leaves_nothing(ckpt, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output.os, "fsync", full)
    with pytest.raises(NotWrittenError, match=r"No space left on device.*MiB are free"):
        export_checkpoint(ckpt, tmp_path / "model", format="safetensors")
    assert not list(tmp_path.iterdir())


def test_a_kill_leaves_nothing_under_the_name(tmp_path):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from addnet.inference.export.output import whole\n"
        "with whole(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half'); os._exit(9)"
    )
    file = tmp_path / "model.onnx"
    warm.run([sys.executable, "-c", code, str(file)], code=9)
    assert not file.exists()
    with output.whole(file) as part:
        part.write_text("whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"format": "onx"}, "Did you mean 'onnx'"),
        ({"output": "model.bin"}, r"name it model\.onnx"),
        ({"output": "model.safetensors", "format": "safetensors"}, "writes a folder"),
        ({"opset": 9}, "opset=9"),
        ({"ckpt": "missing.ckpt"}, "no such file"),
        ({"ckpt": "damaged.ckpt"}, "damaged"),
        ({"output": "damaged.ckpt/model.onnx"}, "could not be written"),
    ],
)
def test_mistakes_are_answered_in_words(ckpt, tmp_path, options, reason):
    (tmp_path / "damaged.ckpt").write_bytes(ckpt.read_bytes()[:5000])
    given = {"output": "model.onnx", "ckpt": ckpt} | options
    with pytest.raises(UserError, match=reason):
        export_checkpoint(tmp_path / given.pop("ckpt"), tmp_path / given.pop("output"), **given)
    assert [file.name for file in tmp_path.iterdir()] == ["damaged.ckpt"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"hyper_parameters": {}}, "name its network"),
        ({"addnet": {"format": FORMAT, "class_names": ["real", "fake"], "preprocessing": {}}}, "image_size=None"),
        ({"addnet": {"format": FORMAT, "class_names": ["x"], "preprocessing": {"image_size": 64}}}, "class_names"),
        ({"state_dict": {"net.head.weight": torch.zeros(2, 2048)}}, "does not fit"),
    ],
)
def test_checkpoints_that_lack_something_are_answered_in_words(tmp_path, entries, reason):
    path = write_checkpoint(tmp_path / "odd.ckpt", **entries)
    with pytest.raises(UserError, match=reason):
        export_checkpoint(path, tmp_path / "model", format="safetensors")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_remedy(ckpt, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=re.escape("pip install 'addnet[export]'")):
        export_checkpoint(ckpt, tmp_path / "model.onnx")
