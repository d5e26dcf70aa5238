"""What is exported says what PyTorch says, carries its description, and is whole or not there."""

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import pytest
import timm
import torch
from torch import nn

import addnet
from addnet.errors import NotWrittenError, UserError
from addnet.inference.export import FORMATS, export_checkpoint, load_exported, network_of, onnx_file, output, pt2_file
from addnet.inference.export.description import public_config
from addnet.inference.export.fixed import FixedNetwork
from addnet.inference.export.parity import check_parity, random_batches
from addnet.models import PLACEMENTS, SITES, create_model
from addnet.training.checkpoints import FORMAT, read_checkpoint

ROOT = Path(__file__).parents[1]
MASK = {"parts": ["face", "organs"], "eyes": "joint", "face_blur": 0.033, "organ_blur": 0.033}
DECISION = {level: {"threshold": 0.37, "temperature": 1.7, "pictures": 48} for level in ("frame", "video")}
DETECTOR = "dlib/shape_predictor_68_face_landmarks.dat/crops/padding=0.3/max_spread=0.18/max_side=1024"
CONFIG = {
    "seed": 3,
    "data": {"layout": "folder", "data_dir": "/home/anna/faces", "index_dir": "/home/anna/index", "train": None},
    "paths": {"output_root": "/home/anna/runs"},
    "logger": {"comet": {"workspace": "anna"}},
}


def _seasoned(net):
    """The network with batch normalisation that has seen noise, and logits that differ from picture to picture."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
    with torch.no_grad():
        net.train()(*_noise(96))
    nn.init.normal_(net.head.weight, std=0.1)
    return net.eval()


def _noise(size):
    return tuple(torch.cat(part) for part in zip(*random_batches(size, seed=9), strict=True))


@pytest.fixture(scope="module")
def backbone():
    """A random Xception with one block of eight in the middle: as many kinds of layers, and a third of the time."""
    torch.manual_seed(0)
    net = timm.create_model("legacy_xception", num_classes=0)
    for number in range(5, 12):
        setattr(net, f"block{number}", nn.Identity())
    return net


@pytest.fixture
def build(backbone, monkeypatch):
    """Builds networks around the one backbone."""

    def make(name="addnet", **options):
        torch.manual_seed(1)
        with monkeypatch.context() as patch:
            patch.setattr(timm, "create_model", lambda *_, in_chans=3, **__: _with_channels(backbone, in_chans))
            return _seasoned(create_model(name, **options))

    return make


def _with_channels(backbone, channels):
    backbone.conv1 = nn.Conv2d(channels, 32, 3, stride=2, bias=False)
    return backbone


def write_checkpoint(path, *, size=64, model=None, **entries):
    """A checkpoint as training writes it, of random weights."""
    model = {"name": "addnet", "pretrained": False, "weights": None} | (model or {})
    torch.manual_seed(2)
    net = _seasoned(create_model(model["name"], **{key: value for key, value in model.items() if key != "name"}))
    preprocessing = {"image_size": size, "align": True, "crop": "picture", "margin": 1.3, "mask": MASK}
    preprocessing |= {"mask_of": "own", "detector": DETECTOR, "value_range": [-1.0, 1.0]}
    about = {"format": FORMAT, "version": "0.1.0", "class_names": ["real", "fake"], "preprocessing": preprocessing}
    about |= {"config": CONFIG, "decision": DECISION}
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    whole = {"state_dict": state, "hyper_parameters": {"model": model}, "epoch": 4, "global_step": 90, "addnet": about}
    torch.save(whole | entries, path)
    return path


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("export") / "best.ckpt")


@pytest.fixture(scope="module")
def files(ckpt, tmp_path_factory):
    """One checkpoint exported in every format."""
    folder = tmp_path_factory.mktemp("exported")
    return {name: export_checkpoint(ckpt, folder / f"model{end}", format=name) for name, end in FORMATS.items()}


# ---- parity ------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("pool", ["adaptive", "chain"])
@pytest.mark.parametrize("placement", [*PLACEMENTS, *SITES, ["stem", "block2", "middle"]], ids=str)
def test_constant_matrices_do_what_pooling_does(build, placement, pool):
    for combine, size in (("multiply", 64), ("residual", 75), ("mix", 83)):
        net = build(placement=placement, combine=combine, pool=pool)
        for image, mask in random_batches(size):
            assert torch.allclose(FixedNetwork(net, size)(image, mask), net(image, mask), atol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize("border", ["reflect", "replicate"])
@pytest.mark.parametrize("mode", ["replace", "concat", "residual"])
def test_constant_matrices_do_what_the_bandpass_does(build, mode, border):
    for kernel_size, size in ((3, 64), (31, 75), (63, 83)):
        net = build("bandpass", mode=mode, border=border, kernel_size=kernel_size, sigma_low=0.7, delta=2.0)
        for image, mask in random_batches(size):
            assert torch.allclose(FixedNetwork(net, size)(image, mask), net(image, mask), atol=5e-5)


def test_a_flat_picture_has_no_band_there_either(build):
    layers = FixedNetwork(build("bandpass"), 64).layers
    assert layers[0](torch.full((1, 3, 64, 64), 0.7)).abs().max() == 0


# each placement, combine, pool, mode and border, in as few files as there are placements
COVERING = [
    ("addnet", "full", "multiply", "adaptive", 64, {}),
    ("addnet", "paper", "residual", "chain", 75, {}),
    ("addnet", "none", "multiply", "adaptive", 64, {}),
    ("bandpass", "input", "mix", "adaptive", 64, {"mode": "replace", "border": "reflect"}),
    ("bandpass", "stem", "multiply", "chain", 83, {"mode": "concat", "border": "replicate"}),
    ("bandpass", "block1", "residual", "adaptive", 75, {"mode": "residual", "border": "reflect"}),
    ("bandpass", "block2", "mix", "chain", 64, {"mode": "replace", "border": "replicate"}),
    ("addnet", "block3", "mix", "chain", 83, {}),
    ("addnet", "middle", "residual", "adaptive", 112, {}),
    ("addnet", "block12", "multiply", "chain", 75, {}),
]


@pytest.mark.parametrize(
    ("name", "placement", "combine", "pool", "size", "options"), COVERING, ids=lambda value: str(value)[:12]
)
def test_onnxruntime_says_what_pytorch_says(build, tmp_path, name, placement, combine, pool, size, options):
    net = build(name, placement=placement, combine=combine, pool=pool, **options)
    file = tmp_path / "model.onnx"
    inputs = list(random_batches(size))[-1]
    onnx_file.write_onnx(FixedNetwork(net, size).eval(), file, inputs=inputs, about={}, opset=18)
    parity = check_parity(onnx_file.runner(file), net, size=size, seed=5)
    assert parity.difference <= 1e-4
    assert parity.spread > 0.1  # else the comparison would say nothing
    assert set(parity.batches) == {1, 2, 3}


def test_the_covering_set_covers():
    def columns(rows):
        return [set(column) for column in zip(*rows, strict=True)]

    names, placements, combines, pools, _ = columns(row[:5] for row in COVERING)
    assert names == {"addnet", "bandpass"}
    assert placements == {*PLACEMENTS, *SITES}
    assert (combines, pools) == ({"multiply", "residual", "mix"}, {"adaptive", "chain"})
    modes, borders = columns(tuple(row[5].values()) for row in COVERING if row[5])
    assert (modes, borders) == ({"replace", "concat", "residual"}, {"reflect", "replicate"})


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_pytorch_says(files, ckpt, name):
    assert files[name].parity.difference <= 1e-4
    assert files[name].parity.spread > 0.1
    net = network_of(read_checkpoint(ckpt), ckpt)
    run = {"onnx": onnx_file.runner, "torch_export": pt2_file.runner, "safetensors": lambda f: load_exported(f).net}
    image, mask = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(6)) * 2 - 1, torch.ones(5, 1, 64, 64)
    with torch.no_grad():
        logits = run[name](files[name].output)(image, mask)
        assert torch.allclose(logits, net(image, mask), atol=1e-4)


def test_a_wrong_file_is_not_kept(ckpt, tmp_path, monkeypatch):
    def wrong(network, *arguments, **options):
        network.layers[0].weight = nn.Parameter(network.layers[0].weight * 1.01, requires_grad=False)
        write(network, *arguments, **options)
        network.layers[0].weight = nn.Parameter(network.layers[0].weight / 1.01, requires_grad=False)

    write = pt2_file.write_pt2
    monkeypatch.setattr(pt2_file, "write_pt2", wrong)
    with pytest.raises(UserError, match=r"differ from PyTorch's by up to \d\.\d+e-0\d"):
        export_checkpoint(ckpt, tmp_path / "model.pt2", format="torch_export")
    assert not list(tmp_path.iterdir())


def test_logits_that_are_no_numbers_are_a_difference(build):
    net = build()
    with pytest.raises(UserError, match="nan"):
        check_parity(lambda image, mask: net(image, mask) * float("nan"), net, size=64)


@pytest.mark.parametrize("atol", [0, -1e-5, 2e-4, float("nan")])
def test_more_than_is_promised_can_not_be_allowed(ckpt, tmp_path, atol):
    with pytest.raises(UserError, match="at most at 1e-04"):
        export_checkpoint(ckpt, tmp_path / "model.onnx", atol=atol)


# ---- description -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_carries_its_description(files, ckpt, name):
    read = {
        "onnx": onnx_file.read_about,
        "torch_export": pt2_file.read_about,
        "safetensors": lambda f: load_exported(f)[1],
    }
    about = read[name](files[name].output)
    assert about["class_names"] == ["real", "fake"]
    assert about["preprocessing"]["mask"] == MASK
    assert about["decision"] == DECISION
    assert about["model"]["name"] == "addnet"
    assert about["inputs"]["image"]["shape"] == ["batch", 3, 64, 64]
    assert about["source"]["sha256"] == hashlib.sha256(ckpt.read_bytes()).hexdigest()
    assert about["version"] == addnet.__version__
    assert "no commercial use" in about["licences"]["landmarks"]
    assert about["config"]["data"]["data_dir"] == "faces"


def _contents(path):
    """All bytes of a file, of a folder's files, or of an archive's members."""
    if path.is_dir():
        return b"".join(_contents(file) for file in path.iterdir())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    return path.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_tells_where_the_author_keeps_things(files, name):
    contents = _contents(files[name].output)
    for place in ("/home/anna", "anna", str(ROOT), str(Path(torch.__file__).parent)):
        assert place.encode() not in contents, place


def test_a_config_is_told_without_folders():
    config = {
        "data": {"data_dir": r"C:\faces\mine", "train": ["dfd:/data/DFD", "~/b c/celeb"], "group": r"^(\d+)_(.*)/"}
    }
    config |= {"model": {"weights": "/a/b/x.pth", "placement": ["stem"]}, "scheduler": {"monitor": "val/frame/auroc"}}
    shown = public_config(config)
    assert shown["data"] == {"data_dir": "mine", "train": ["dfd:DFD", "celeb"], "group": r"^(\d+)_(.*)"}
    assert shown["model"] == {"weights": "x.pth", "placement": ["stem"]}
    assert shown["scheduler"] == {"monitor": "val/frame/auroc"}


def test_the_batch_is_free_and_both_inputs_stay_without_attention(tmp_path):
    import onnxruntime

    path = write_checkpoint(tmp_path / "plain.ckpt", model={"placement": "none"})
    done = export_checkpoint(path, tmp_path / "plain.onnx")
    session = onnxruntime.InferenceSession(str(done.output), providers=["CPUExecutionProvider"])
    inputs = {each.name: each.shape for each in session.get_inputs()}
    assert inputs == {"image": ["batch", 3, 64, 64], "mask": ["batch", 1, 64, 64]}
    assert [each.shape for each in session.get_outputs()] == [["batch", 2]]
    assert done.about["inputs"]["mask"]["used"] is False


def test_the_card_is_one_that_hubs_read(files):
    hub = pytest.importorskip("huggingface_hub")
    text = (files["safetensors"].output / "README.md").read_text(encoding="utf-8")
    data = hub.ModelCard(text).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("other", "addnet", "image-classification")
    assert "deepfake-detection" in data.tags
    for said in (
        "folder: faces",
        "no commercial use",
        "2101.01456",
        "0.37",
        "Limits",
        "Intended use",
        "`placement=full`",
    ):
        assert said in text, said


# ---- folders that come back --------------------------------------------------------------------------------


@pytest.fixture
def folder(files, tmp_path):
    return Path(shutil.copytree(files["safetensors"].output, tmp_path / "model"))


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
        (lambda folder: (folder / "config.json").write_bytes(b" " * 2**21), "no description"),
        (lambda folder: _edit(folder, format=99), "format 99"),
        (lambda folder: _edit(folder, model={"name": "os.system"}), "choose one of"),
        (lambda folder: _edit(folder, model={"name": "addnet", "in_chans": 10**9}), "doesn't fit|does not fit"),
        (lambda folder: _edit(folder, model={"name": "addnet", "num_classes": 10**30}), "can't be built"),
        (lambda folder: _edit(folder, model={"name": "addnet", "drop_rate": "x"}), "can't be built"),
        (lambda folder: _edit(folder, model={"name": "addnet", "__class__": 1}), "no option"),
        (lambda folder: _edit(folder, model={"name": ["addnet"]}), "unknown"),
        (lambda folder: _edit(folder, model={"name": "bandpass"}), "does not fit"),
        (_cut, "damaged"),
        (_turn, "not of one export"),
    ],
)
def test_damaged_and_foreign_folders_are_answered_in_words(folder, damage, reason):
    damage(folder)
    with pytest.raises(UserError, match=reason):
        load_exported(folder)


@pytest.mark.parametrize("place", ["missing", "file"])
def test_no_folder_is_answered_in_words(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="no folder"):
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
    with pytest.raises(UserError, match="not touched"):
        export_checkpoint(ckpt, folder, format="safetensors", overwrite=True)


def test_a_full_disk_leaves_nothing(ckpt, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output.os, "fsync", full)
    with pytest.raises(NotWrittenError, match="No space left on device.*MiB are free"):
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
    assert subprocess.run([sys.executable, "-c", code, str(file)], timeout=120, check=False).returncode == 9
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
        ({"hyper_parameters": {}}, "which network"),
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


# ---- the command and the example ---------------------------------------------------------------------------


def _run(*command, cwd, code=0):
    environment = os.environ | {"PYTHONPATH": str(Path(addnet.__path__[0]).parent)}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_command_tells_what_was_checked(ckpt, tmp_path):
    told = _run("-m", "addnet.export", f"ckpt={ckpt}", "output=model", "format=safetensors", cwd=tmp_path)
    assert re.search(r"checked 8 random pictures in batches of 1, 2, 3, 2.*differ from PyTorch's by 0", told)
    assert load_exported(tmp_path / "model").about["class_names"] == ["real", "fake"]
    assert "overwrite=true" in _run(
        "-m", "addnet.export", f"ckpt={ckpt}", "output=model", "format=safetensors", cwd=tmp_path, code=1
    )


def test_the_command_answers_mistakes_in_words(tmp_path):
    assert "ckpt is not set" in _run("-m", "addnet.export", cwd=tmp_path, code=1)
    assert "did you mean format" in _run("-m", "addnet.export", "fromat=onnx", cwd=tmp_path, code=1)


def test_the_example_scores_a_picture_without_torch(files, ckpt, portrait, tmp_path):
    from addnet.faces import AttentionMask, Geometry, LandmarkDetector, map_points, warp_picture

    picture, _ = portrait
    cv2.imwrite(str(tmp_path / "portrait.png"), picture[..., ::-1])
    script = ROOT / "docs" / "examples" / "score_with_onnxruntime.py"
    code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')\n"
    code += "assert 'torch' not in sys.modules, 'torch was imported'"
    told = json.loads(_run("-c", code, script, files["onnx"].output, "portrait.png", cwd=tmp_path))

    points = LandmarkDetector()(picture).points
    matrix = Geometry(size=64).matrix(picture.shape, points)
    image = torch.from_numpy(warp_picture(picture, matrix, 64)).permute(2, 0, 1)[None].float() / 127.5 - 1
    mask = torch.from_numpy(AttentionMask().draw(map_points(points, matrix), 64))[None, None]
    with torch.no_grad():
        score = network_of(read_checkpoint(ckpt), ckpt)(image, mask).softmax(dim=1)[0, 1].item()
    assert abs(told["score"] - score) <= 1e-4
    assert 0.001 < score < 0.999  # where it would show
    assert (told["verdict"], told["face"]) == ("fake" if score > 0.37 else "real", True)
