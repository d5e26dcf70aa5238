"""What is exported says what PyTorch says, carries its description, and is whole or not there."""

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from pathlib import Path

import cv2
import onnxruntime
import pytest
import timm
import torch
from torch import nn

import addnet
import warm
from addnet.checkpoints.file import read_checkpoint
from addnet.config import compose
from addnet.errors import UserError
from addnet.export import export
from addnet.inference.export import FORMATS, export_checkpoint, load_exported, network_of, onnx_file, pt2_file
from addnet.inference.export.description import describe, public_config
from addnet.inference.export.fixed import FixedBandpass, fixed
from addnet.inference.export.parity import check_parity, random_batches
from addnet.models import BandpassLayer, create_model
from addnet.models.xception import XCEPTION
from exports import DECISION, MASK, seasoned, write_checkpoint
from warm import PATH

pytestmark = pytest.mark.slow

PLACEMENTS, SITES = XCEPTION.placements, XCEPTION.sites

ROOT = Path(__file__).parents[1]


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
            return seasoned(create_model(name, **options))

    return make


def _with_channels(backbone, channels):
    backbone.conv1 = nn.Conv2d(channels, 32, 3, stride=2, bias=False)
    return backbone


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("export") / "best.ckpt")


@pytest.fixture(scope="module")
def files(ckpt, tmp_path_factory):
    """One checkpoint exported in every format."""
    folder = tmp_path_factory.mktemp("exported")
    return {name: export_checkpoint(ckpt, folder / f"model{end}", format=name) for name, end in FORMATS.items()}


# ---- parity ------------------------------------------------------------------------------------------------


# size and combine go round, so that each meets several sites
SITES_AND_POOLS = [
    (*where, *how)
    for where, how in zip(
        itertools.product([*PLACEMENTS, *SITES, ["stem", "block2", "middle"]], ["adaptive", "chain"]),
        itertools.cycle([(64, "multiply"), (75, "residual"), (83, "mix")]),
        strict=False,
    )
]


@torch.no_grad()
@pytest.mark.parametrize(("placement", "pool", "size", "combine"), SITES_AND_POOLS, ids=str)
def test_constant_matrices_do_what_pooling_does(build, placement, pool, size, combine):
    net = build(placement=placement, combine=combine, pool=pool)
    image, mask = list(random_batches(size))[1]
    assert torch.allclose(fixed(net, size)(image, mask), net(image, mask), atol=5e-5)
    assert torch.allclose(net(image, mask), net(image, torch.ones_like(mask)), atol=5e-5) == (placement == "none")


@torch.no_grad()
@pytest.mark.parametrize("border", ["reflect", "replicate"])
@pytest.mark.parametrize(
    ("mode", "kernel_size", "size"), [("replace", 3, 64), ("concat", 31, 75), ("residual", 63, 83), ("replace", 31, 83)]
)
def test_constant_matrices_do_what_the_bandpass_does(mode, kernel_size, size, border):
    layer = BandpassLayer(kernel_size, sigma_low=0.7, delta=2.0, mode=mode, border=border)
    image, _ = list(random_batches(size))[1]
    assert torch.allclose(FixedBandpass(layer, size)(image), layer(image), atol=2e-6)


def test_a_flat_image_has_no_band_there_either():
    assert FixedBandpass(BandpassLayer(), 64)(torch.full((1, 3, 64, 64), 0.7)).abs().max() == 0


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
    onnx_file.write_onnx(fixed(net, size), file, inputs=inputs, about={}, opset=18)
    parity = check_parity(onnx_file.runner(file), net, size=size, seed=5)
    assert parity.difference <= 1e-4
    assert parity.spread > 0.1  # else the comparison would say nothing
    assert set(parity.batches) == {1, 2, 3}
    shapes = {each.name: each.shape for each in onnxruntime.InferenceSession(str(file)).get_inputs()}
    assert shapes == {"image": ["batch", 3, size, size], "mask": ["batch", 1, size, size]}


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
        network.net.head.bias = nn.Parameter(network.net.head.bias + torch.tensor([0.01, 0.0]))
        write(network, *arguments, **options)

    write = pt2_file.write_pt2
    monkeypatch.setattr(pt2_file, "write_pt2", wrong)
    with pytest.raises(UserError, match=r"differ from PyTorch's by up to \d\.\d+e-0\d"):
        export_checkpoint(ckpt, tmp_path / "model.pt2", format="torch_export")
    assert not list(tmp_path.iterdir())


def test_logits_that_are_no_numbers_are_a_difference(build):
    net = build()
    with pytest.raises(UserError, match="nan"):
        check_parity(lambda image, mask: net(image, mask) * float("nan"), net, size=64)


@pytest.mark.parametrize(("largest", "refused"), [(8.0, True), (30.0, False), (30.5, False), (19.0, True)])
def test_large_logits_may_differ_in_proportion(largest, refused):
    class Constant(nn.Module):
        def forward(self, image, mask):
            return torch.tensor([[0.0, largest]]).repeat(len(image), 1)

    net = Constant()
    with pytest.raises(UserError, match="is allowed") if refused else nullcontext():
        check_parity(lambda image, mask: net(image, mask) + 2e-4, net, size=8)


@pytest.mark.parametrize("atol", [0, -1e-5, 2e-4, float("nan")])
def test_more_than_is_promised_can_not_be_allowed(ckpt, tmp_path, atol):
    with pytest.raises(UserError, match="at most 1e-04"):
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
    calibrated = {"limits": [0.0, 1.0], "calibration": "calibrated on validation"}
    assert about["decision"] == {level: entry | calibrated for level, entry in DECISION.items()}
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


def test_a_mask_that_is_not_looked_at_is_told(ckpt):
    checkpoint = read_checkpoint(ckpt)
    assert describe(checkpoint, ckpt)["inputs"]["mask"]["used"] is True
    checkpoint["hyper_parameters"]["model"]["placement"] = "none"
    assert describe(checkpoint, ckpt)["inputs"]["mask"]["used"] is False


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


# ---- the command and the example ---------------------------------------------------------------------------


def _run(*command, cwd, code=0):
    told = warm.run([sys.executable, *map(str, command)], cwd=cwd, code=code)
    assert "Traceback" not in told
    return told


def test_the_command_tells_what_was_checked(ckpt, tmp_path):
    told = _run("-m", "addnet.export", f"ckpt={ckpt}", "output=model", "format=safetensors", cwd=tmp_path)
    assert re.search(r"checked 8 random images in batches of 1, 2, 3, 2.*differ from PyTorch's by at most 0", told)
    assert load_exported(tmp_path / "model").about["class_names"] == ["real", "fake"]


def test_the_command_answers_mistakes_in_words(tmp_path):
    with pytest.raises(UserError, match="ckpt is not set"):
        export(compose(["ckpt=null"], config_name="export"))
    assert "did you mean format" in _run("-m", "addnet.export", "fromat=onnx", cwd=tmp_path, code=1)


def test_the_example_scores_an_image_without_torch(files, ckpt, portrait, tmp_path):
    from addnet.faces import AttentionMask, Geometry, Landmarker, map_landmarks, warp_image

    image, _ = portrait
    cv2.imwrite(str(tmp_path / "portrait.png"), image[..., ::-1])
    script = ROOT / "docs" / "examples" / "score_with_onnxruntime.py"
    code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')\n"
    code += "assert 'torch' not in sys.modules, 'torch was imported'"
    command = [sys.executable, "-c", code, script, files["onnx"].output, "portrait.png"]  # cold, it imports no torch
    environment = os.environ | {"PYTHONPATH": PATH}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)

    landmarks = Landmarker()(image).landmarks
    matrix = Geometry(size=64).matrix(image.shape, landmarks)
    tensor = torch.from_numpy(warp_image(image, matrix, 64)).permute(2, 0, 1)[None].float() / 127.5 - 1
    mask = torch.from_numpy(AttentionMask().draw(map_landmarks(landmarks, matrix), 64))[None, None]
    with torch.no_grad():
        score = network_of(read_checkpoint(ckpt), ckpt)(tensor, mask).softmax(dim=1)[0, 1].item()
    assert abs(told["score"] - score) <= 1e-4
    assert 0.001 < score < 0.999  # where it would show
    assert (told["verdict"], told["face"]) == ("fake" if score > 0.37 else "real", True)
