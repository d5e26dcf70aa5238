"""Detectors that others published answer here as there, say whose they are, and leave no tensor out in silence."""

import importlib
import importlib.util
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from addnet.adopt import adopt as command
from addnet.adopt import arguments_of
from addnet.config import compose
from addnet.errors import UserError
from addnet.evaluate import evaluate
from addnet.faces.landmarks import Face
from addnet.inference import Detector
from addnet.inference.adopting import adopt, in_words
from addnet.inference.export import export_checkpoint
from addnet.inference.export.hub_folder import load_exported
from addnet.inference.loading import load
from addnet.models import create_model
from addnet.models.foreign import translated
from addnet.models.publications import DEEPFAKEBENCH, GEND, PUBLISHED

pytestmark = pytest.mark.slow

SIDE = 32
VISION = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION |= {"image_size": SIDE, "patch_size": 8}
TEXT = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
TEXT |= {"bos_token_id": 0, "eos_token_id": 1}
OPTIONS = {"embed_dim": 64, "depth": 2, "num_heads": 2, "patch_size": 8}
TINY = replace(GEND, model=GEND.model | {"options": OPTIONS, "image_size": SIDE}, image_size=SIDE)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Reference(nn.Module):
    """GenD as its authors describe it, on Hugging Face's CLIP."""

    def __init__(self, clip):
        super().__init__()
        self.feature_extractor = nn.Module()
        self.feature_extractor.vision_model = clip.vision_model
        self.feature_extractor.visual_projection = clip.visual_projection
        self.model = nn.Module()
        self.model.linear = nn.Linear(VISION["hidden_size"], 2)

    def forward(self, pixels):
        features = self.feature_extractor.vision_model(pixels).pooler_output
        return self.model.linear(functional.normalize(features, dim=1))


@pytest.fixture(scope="module")
def reference():
    """One with random weights, far enough from zero that every one of them counts."""
    if importlib.util.find_spec("transformers") is None and "CI" not in os.environ:
        pytest.skip("transformers is not installed; pip install -e '.[dev]' brings it")
    library = importlib.import_module("transformers")
    torch.manual_seed(0)
    config = library.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)
    net = Reference(library.CLIPModel(config))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return net.eval()


@pytest.fixture(scope="module")
def state(reference):
    return {name: value.contiguous() for name, value in reference.state_dict().items() if "position_ids" not in name}


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("gend") / "model.safetensors"
    save_file(state, path)
    (path.parent / "config.json").write_text(json.dumps(dict(GEND.described) | {"model_type": "GenD"}))
    return path


@pytest.fixture(scope="module")
def ckpt(file):
    return adopt(TINY, file, file.with_name("gend.ckpt")).output


@pytest.fixture
def tiny(monkeypatch):
    """The command adopts the small network."""
    monkeypatch.setitem(PUBLISHED, "gend", TINY)


def images():
    return torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def expected_of(publication):
    options = dict(publication.model)
    with torch.device("meta"):
        return create_model(options.pop("name"), **options).state_dict()


# ---- answers -----------------------------------------------------------------------------------------------


def test_gend_answers_as_transformers_do(reference, ckpt):
    pixels = (images() / 2 + 0.5 - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]
    with torch.no_grad():
        wanted = reference(pixels)
        found = load(ckpt).net(images(), None)
    assert wanted.std(dim=0).min() > 1e-2
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_deepfakebench_s_xception_answers_as_timm_s_does(tmp_path):
    torch.manual_seed(0)
    source = timm.create_model("legacy_xception", num_classes=2).eval()
    rename = {"fc.weight": "last_linear.weight", "fc.bias": "last_linear.bias"}
    named = {f"backbone.{rename.get(name, name)}": value for name, value in source.state_dict().items()}
    unused = {"backbone.adjust_channel.0.weight": torch.zeros(512, 2048, 1, 1)}
    torch.save({f"module.{name}": value for name, value in (named | unused).items()}, tmp_path / "xception.pth")
    done = adopt(DEEPFAKEBENCH, tmp_path / "xception.pth", tmp_path / "x.ckpt")
    assert (done.taken, done.left_out) == (len(named), "module.backbone.adjust_channel (1)")
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    loaded = load(done.output)
    with torch.no_grad():
        torch.testing.assert_close(loaded.net(image, None), source(image), rtol=0, atol=1e-5)
    assert (loaded.preprocessing.geometry.size, loaded.about["adopted"]["licence"]) == (256, "cc-by-nc-4.0")


@pytest.mark.parametrize("kind", ["model.pt", "model.bin", "last.ckpt", "half.safetensors"])
def test_files_of_every_kind_give_the_same_answers(state, ckpt, tmp_path, kind):
    half = {name: value.half() for name, value in state.items()}
    if kind.endswith(".safetensors"):
        save_file(half, tmp_path / kind)
    else:  # as Lightning wraps it
        torch.save({"state_dict": state, "epoch": 3} if kind == "last.ckpt" else state, tmp_path / kind)
    done = adopt(TINY, tmp_path / kind, tmp_path / "out.ckpt")
    assert "head=LinearNorm" in done.assumed
    wanted, found = load(ckpt).net(images(), None), load(done.output).net(images(), None)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.03 if kind.startswith("half") else 0)


# ---- every tensor ------------------------------------------------------------------------------------------


def test_the_published_network_has_as_many_parameters_as_here():
    expected = expected_of(GEND)
    theirs = [name for ours in expected for name in GEND.names(ours)]
    assert len(set(theirs)) == len(theirs) == 24 * 16 + 7 + 2
    projection = 1024 * 768  # which its file holds as well
    assert sum(value.numel() for value in expected.values()) + projection == 303_968_258


def test_each_tensor_is_used_and_missed(state):
    expected = expected_of(TINY)
    found = translated(state, expected, TINY.names, unused=TINY.unused)
    assert found.left_out == ["feature_extractor.visual_projection.weight"]
    assert {name: value.shape for name, value in found.state.items()} == {n: v.shape for n, v in expected.items()}
    used = sum(value.numel() for name, value in state.items() if name not in found.left_out)
    assert sum(value.numel() for value in found.state.values()) == used
    for name in set(state) - set(found.left_out):
        with pytest.raises(UserError, match=rf"1 of \d+ entries missing: {name};"):
            translated({n: v for n, v in state.items() if n != name}, expected, TINY.names, unused=TINY.unused)


def test_what_nobody_knows_is_not_ignored(state, tmp_path):
    torch.save(state | {"feature_extractor.adapter.weight": torch.ones(3)}, tmp_path / "more.pt")
    with pytest.raises(UserError, match=r"more\.pt is not GenD on CLIP .* feature_extractor\.adapter \(1\)"):
        adopt(TINY, tmp_path / "more.pt", tmp_path / "out.ckpt")
    assert not (tmp_path / "out.ckpt").exists()


def test_what_an_answer_does_not_depend_on_is_named(state, tmp_path):
    positions = {"feature_extractor.vision_model.embeddings.position_ids": torch.arange(17)[None]}
    torch.save(state | positions, tmp_path / "old.pt")
    told = in_words(adopt(TINY, tmp_path / "old.pt", tmp_path / "out.ckpt"))
    assert told.startswith(f"the checkpoint has {len(state) - 1} tensors of the file; left out")
    assert "visual_projection (1)" in told
    assert "embeddings (1)" in told
    torch.save(state | {name: value.flip(1) for name, value in positions.items()}, tmp_path / "moved.pt")
    with pytest.raises(UserError, match=r"position_ids don't count from 0"):
        adopt(TINY, tmp_path / "moved.pt", tmp_path / "out.ckpt")


# ---- wrong files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("publication", "names", "said"),
    [
        (GEND, ["feature_extractor.backbone.blocks.0.attn.qkv.weight"], "GenD on another network"),
        (GEND, ["vision_model.embeddings.class_embedding"], "CLIP itself"),
        (GEND, ["net.backbone.cls_token", "net.head.weight"], "a checkpoint of this program"),
        (GEND, ["backbone.block1.skip.weight"], "from DeepfakeBench, whose Xception is adopted as `deepfakebench`"),
        (DEEPFAKEBENCH, ["feature_extractor.vision_model.x.weight"], "GenD, which is adopted as `gend`"),
        (GEND, ["x.weight"], "missing: feature_extractor.vision_model.embeddings.class_embedding"),
        (DEEPFAKEBENCH, ["conv1.weight", "fc.weight"], "the ImageNet weights"),
        (DEEPFAKEBENCH, ["backbone.efficientnet._conv_stem.weight"], "missing: backbone.conv1.weight"),
    ],
)
def test_another_file_is_told_as_what_it_is(tmp_path, publication, names, said):
    torch.save({name: torch.ones(2) for name in names}, tmp_path / "other.pth")
    with pytest.raises(UserError) as caught:
        adopt(publication, tmp_path / "other.pth", tmp_path / "out.ckpt")
    assert f"other.pth is not {publication.called}" in str(caught.value)
    assert said in str(caught.value)
    assert publication.source in str(caught.value)


def test_another_size_of_the_network_is_told(file, tmp_path):
    smaller = replace(TINY, model=TINY.model | {"options": OPTIONS | {"patch_size": 16}})
    with pytest.raises(UserError, match=r"of another shape: .*patch_embedding\.weight \(64, 3, 8, 8\)"):
        adopt(smaller, file, tmp_path / "out.ckpt")
    with pytest.raises(UserError, match=r"missing: .*layers\.2"):
        adopt(GEND, file, tmp_path / "out.ckpt")


@pytest.mark.parametrize("config", ['{"head": "linear"}', '{"backbone": "openai/clip-vit-base-patch16"}', "{"])
def test_a_config_that_tells_of_another_head_or_network_is_heeded(file, tmp_path, config):
    (tmp_path / "model.safetensors").write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=r"config\.json (says|can't be read)"):
        adopt(TINY, tmp_path / "model.safetensors", tmp_path / "out.ckpt")


def test_weights_that_are_no_numbers_are_refused(state, tmp_path):
    torch.save(state | {"model.linear.bias": torch.tensor([0.0, float("nan")])}, tmp_path / "nan.pt")
    with pytest.raises(UserError, match=r"nan\.pt: weights of head\.bias aren't finite"):
        adopt(TINY, tmp_path / "nan.pt", tmp_path / "out.ckpt")


# ---- used like any other -----------------------------------------------------------------------------------


def test_a_detector_says_whose_it_is_and_that_nothing_is_calibrated(ckpt, portrait):
    detector = Detector.from_checkpoint(ckpt, device="cpu")
    answer = detector.predict(portrait[0])
    assert answer.verdict in ("real", "fake")
    assert (answer.threshold, answer.probability) == (0.5, answer.score)
    data, whose, measured = detector.background
    assert data.endswith("32 × 32 pixels, trained on FaceForensics++ c23, as its authors say.")
    assert "yermandy/GenD" in whose
    assert "its terms: MIT" in whose
    assert "0.5" in measured


def test_a_face_that_is_cut_out_of_a_scene_is_seen_as_in_the_whole_picture(ckpt, portrait):
    scene = np.full((700, 700, 3), 90, dtype=np.uint8)
    scene[250:450, 250:450] = portrait[0]
    preprocessing = load(ckpt).preprocessing
    face = Face("detector", portrait[1] + np.float32(250), np.float32([260, 260, 440, 440]))
    whole, cut = preprocessing.whole(scene, face), preprocessing.cut(scene, face)
    assert np.abs(whole.landmarks - cut.landmarks).max() < 1e-3
    assert np.abs(whole.image.astype(int) - cut.image).mean() < 4
    assert preprocessing.of_image(portrait[0])


def test_an_export_keeps_licence_and_source(ckpt, tmp_path):
    done = export_checkpoint(ckpt, tmp_path / "gend", format="safetensors")
    card = (tmp_path / "gend" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: mit\n")
    for said in ("# GenD on CLIP ViT-L/14, adopted by addnet", "arXiv 2508.06248", "FaceForensics++ c23", "MIT"):
        assert said in card
    assert "Zi, Chang" not in card
    assert done.about["adopted"]["source"] == GEND.source
    loaded = load(tmp_path / "gend")
    assert torch.equal(loaded.net(images(), None), load(ckpt).net(images(), None))
    assert Detector(loaded, device="cpu").background[1:] == Detector.from_checkpoint(ckpt, device="cpu").background[1:]
    assert load_exported(tmp_path / "gend").about["preprocessing"]["crop"] == "template"
    with pytest.raises(UserError, match=r"license=apache-2\.0, but .* under mit"):
        export_checkpoint(ckpt, tmp_path / "other", format="safetensors", licence="apache-2.0")


def test_evaluate_takes_it_and_reports_whose_it_is(ckpt, data_dir, index_dir, tmp_path):
    where = [f"data.data_dir={data_dir}", f"data.index_dir={index_dir}", f"paths.output_dir={tmp_path}"]
    small = ["resamples=1", "mistakes=0", "device=cpu", "data.num_workers=0", "data.limit_test=6"]
    numbers = evaluate(compose([f"ckpt={ckpt}", *where, *small], config_name="evaluate"))
    assert numbers["checkpoints"]
    assert "yermandy/GenD" in (tmp_path / "report.md").read_text(encoding="utf-8")


# ---- the command -------------------------------------------------------------------------------------------


def config_of(*overrides):
    return compose([*overrides], config_name="adopt")


def test_the_command_writes_and_never_replaces_unasked(tiny, file, tmp_path):
    given = ["detector=gend", f"input={file}", f"output={tmp_path / 'gend.ckpt'}"]
    assert command(config_of(*given)).output == tmp_path / "gend.ckpt"
    with pytest.raises(UserError, match=r"already exists; .*overwrite=true"):
        command(config_of(*given))
    command(config_of(*given, "overwrite=true"))
    default = command(config_of(*given[:2], f"paths.output_dir={tmp_path / 'run'}"))
    assert default.output == tmp_path / "run" / "gend.ckpt"


def test_words_without_a_key_are_the_detector_and_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b (1).pt").touch()
    assert arguments_of(["gend", "a=b (1).pt", "overwrite=true"])[1:] == ["detector='gend'", "input='a=b (1).pt'"]
    assert arguments_of(["detector=gend", "a.pt"]) == ["detector=gend", "input='a.pt'"]
    with pytest.raises(UserError, match=r"'c\.pt' is an extra argument"):
        arguments_of(["gend", "a.pt", "c.pt"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["detector=gendd", "input=x.pt"], "detector='gendd' is unknown; .*gend, deepfakebench"),
        (["detector=gend", "input=none.pt"], "none.pt: no such file"),
        (["detector=gend", "input=none.pt", "output=out.pt"], "use out.ckpt"),
    ],
)
def test_the_command_answers_mistakes_in_words(overrides, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        command(config_of(*overrides, f"paths.output_dir={tmp_path}"))
