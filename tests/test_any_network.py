"""What reads networks reads them by their own description: exports, explanations, tables, cards, of any family."""

import ast
import re
import threading
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import addnet
from addnet.errors import UserError
from addnet.inference import Detector, explain, grad_cam
from addnet.inference.answering.asking import UploadLimits, Visit
from addnet.inference.explaining import block_of
from addnet.inference.export import export_checkpoint, load_exported, onnx_file, pt2_file
from addnet.inference.export.fixed import fixed
from addnet.inference.export.parity import check_parity, random_batches
from addnet.inference.one_at_a_time import alone_with
from addnet.models import create_model
from addnet.models.__main__ import main
from addnet.models.summary import summarise, told
from addnet.models.xception import XCEPTION
from exports import seasoned, write_checkpoint

pytestmark = pytest.mark.slow

SMALL_VIT = {"depth": 2, "embed_dim": 48, "num_heads": 2}
SMALL_SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 4, 8)}
# family: backbone, side, how masks act, options of timm
FAMILIES = {
    "resnet": ("test_resnet", 75, "residual", {}),
    "byobnet": ("test_byobnet", 64, "mix", {}),
    "convnext": ("test_convnext", 64, "multiply", {}),
    "efficientnet": ("test_efficientnet", 75, "gate", {}),
    "mambaout": ("test_mambaout", 64, "multiply", {}),
    "nfnet": ("test_nfnet", 64, "multiply", {}),
    "vision_transformer": ("test_vit", 64, "multiply", {}),
    "swin_transformer": ("swin_tiny_patch4_window7_224", 64, "gate", SMALL_SWIN),
    "eva": ("eva02_tiny_patch14_224", 56, "mix", SMALL_VIT),
    "beit": ("beit_base_patch16_224", 64, "attend", SMALL_VIT),
}
FURTHER = {
    "maxxvit": ("test_maxvit", 160, "multiply", {}),
    "vision_transformer_relpos": ("test_vit_relpos", 160, "multiply", {}),
    "swin_transformer_v2": ("swinv2_tiny_window8_256", 64, "multiply", SMALL_SWIN),
    "vision_transformer": ("test_vit", 160, "attend", {}),
    "eva": ("vit_tiny_patch16_dinov3_qkvb", 64, "multiply", SMALL_VIT),
    "byobnet": ("mobilevit_xxs", 64, "multiply", {}),
    "davit": ("davit_tiny", 64, "multiply", {}),
    "xcit": ("xcit_nano_12_p16_224", 64, "multiply", {}),
    "edgenext": ("edgenext_xx_small", 64, "multiply", {}),
    "levit": ("levit_128s", 224, "multiply", {}),
}
SIDE = 160  # of the images that test_vit is made for
TOKENS, CHANNELS_LAST = FAMILIES["vision_transformer"], FAMILIES["swin_transformer"]


def built(backbone, size, combine, options, *, placement="everywhere", **more):
    """A small network whose logits differ from image to image."""
    torch.manual_seed(0)
    how = {"backbone": backbone, "options": options, "image_size": size, "combine": combine, **more}
    if placement == "everywhere":
        described = create_model("timm", **how, placement="none").description
        unread = described.stages[-1].name if combine == "attend" else ""  # no attention follows
        placement = [site for site in described.sites if site != unread]
    return seasoned(create_model("timm", **how, placement=placement), size=size, spread=0.3).requires_grad_(False)


# ---- exports -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_onnxruntime_says_what_pytorch_says_of_ten_families(family, tmp_path):
    onnx_says_the_same(family, *FAMILIES[family], file=tmp_path / "model.onnx")


@pytest.mark.families
@pytest.mark.parametrize("family", FURTHER)
def test_onnxruntime_says_what_pytorch_says_of_further_families(family, tmp_path):
    onnx_says_the_same(family, *FURTHER[family], file=tmp_path / "model.onnx")


def onnx_says_the_same(family, backbone, size, combine, options, *, file):
    net = built(backbone, size, combine, options)
    assert type(net.backbone).__module__ == f"timm.models.{family}"
    onnx_file.write_onnx(fixed(net, size), file, inputs=list(random_batches(size))[-1], about={}, opset=18)
    parity = check_parity(onnx_file.runner(file), net, size=size, seed=5)
    assert parity.difference <= 1e-4
    assert parity.spread > 0.1  # else the comparison would say nothing
    image, mask = list(random_batches(size))[1]
    with torch.no_grad():
        assert not torch.allclose(net(image, mask), net(image, torch.ones_like(mask)), atol=1e-3)


@pytest.mark.parametrize("network", [TOKENS, CHANNELS_LAST], ids=["tokens", "channels_last"])
def test_torch_export_says_the_same_of_tokens_and_channels_last(network, tmp_path):
    backbone, size, *how = network
    net, file = built(backbone, size, *how, front="bandpass", mode="concat", kernel_size=7), tmp_path / "model.pt2"
    pt2_file.write_pt2(fixed(net, size), file, inputs=list(random_batches(size))[-1], about={})
    assert check_parity(pt2_file.runner(file), net, size=size, seed=5).difference <= 1e-4


def test_a_network_that_still_learns_can_be_exported(tmp_path):
    """With gradients, attention that can't be fused was traced into something that the exporter refuses."""
    net = built("test_vit_relpos", 160, "multiply", {"depth": 1}).requires_grad_()
    file = tmp_path / "model.onnx"
    onnx_file.write_onnx(fixed(net, 160), file, inputs=list(random_batches(160))[-1], about={}, opset=18)
    assert all(parameter.requires_grad for parameter in net.parameters())


@torch.no_grad()
@pytest.mark.parametrize("pool", ["adaptive", "chain"])
def test_constant_matrices_do_what_pooling_to_patches_does(pool):
    for backbone, size, *how in (TOKENS, CHANNELS_LAST, FAMILIES["beit"]):
        net = built(backbone, size, *how, pool=pool)
        image, mask = list(random_batches(size))[1]
        assert torch.allclose(fixed(net, size)(image, mask), net(image, mask), atol=5e-5)
        assert not torch.allclose(net(image, mask), net(image, torch.ones_like(mask)), atol=1e-3)


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory):
    """A checkpoint of a small ViT, of which low-rank updates were trained from timm's weights, by its config."""
    model = {"name": "timm", "backbone": "test_vit", "combine": "gate", "tune": "lora:2"}
    path = write_checkpoint(tmp_path_factory.mktemp("any") / "best.ckpt", model=model, size=SIDE)
    written = torch.load(path, weights_only=True)
    written["addnet"]["config"] |= {"model": model | {"pretrained": True}}
    updates = [value for name, value in written["state_dict"].items() if "lora" in name]
    assert updates
    for value in updates:
        value.normal_(std=0.3)
    torch.save(written, path)
    return path


@pytest.fixture(scope="module")
def folder(ckpt, tmp_path_factory):
    return export_checkpoint(ckpt, tmp_path_factory.mktemp("hub") / "detector", format="safetensors").output


def test_a_folder_brings_back_any_network_with_all_that_it_says_of_itself(ckpt, folder):
    net, about = load_exported(folder)
    assert (about["model"]["name"], about["model"]["backbone"]) == ("timm", "test_vit")
    told = about["network"]
    assert (told["backbone"], told["side"], told["mean"]) == ("test_vit", SIDE, list(net.description.mean))
    assert told["sites"] == list(net.placement)
    assert told["start"] == "timm's test_vit.r160_in1k"
    image, mask = list(random_batches(SIDE))[1]
    with torch.no_grad():
        assert torch.equal(net(image, mask), Detector.from_checkpoint(ckpt).net(image, mask))


@torch.no_grad()
def test_low_rank_updates_are_merged_into_what_is_exported(ckpt, folder):
    net, about = load_exported(folder)
    assert not any("lora" in name for name in net.state_dict())
    assert "tune" not in about["model"]
    trained = create_model("timm", backbone="test_vit", combine="gate", tune="lora:2").eval()
    state = torch.load(ckpt, weights_only=True)["state_dict"]
    trained.load_state_dict({name.removeprefix("net."): value for name, value in state.items()})
    image, mask = list(random_batches(SIDE))[1]
    assert torch.allclose(net(image, mask), trained(image, mask), atol=1e-4)
    assert about["network"]["tune"] == "lora:2"


def test_a_card_names_backbone_sites_and_the_terms_of_the_start_weights(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for said in (
        "# ADDNet on test_vit",
        "`gate` at `blocks.0`",
        "`combine=gate`",
        "timm's test_vit.r160_in1k",
        "apache",
        "tune=lora:2",
    ):
        assert said in card.replace("\\", ""), said
    assert "xception" not in card.lower()


def test_random_start_weights_and_those_of_a_file_are_told(ckpt, tmp_path):
    written = torch.load(ckpt, weights_only=True)
    for model, start in (({"pretrained": False}, "random"), ({"weights": "/home/anna/x.pth"}, "the file x.pth")):
        written["addnet"]["config"]["model"] = model
        torch.save(written, tmp_path / "best.ckpt")
        about = export_checkpoint(tmp_path / "best.ckpt", tmp_path / start[-4:], format="safetensors").about
        assert about["network"]["start"] == start
        assert "anna" not in str(about)


# ---- explanations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network",
    [TOKENS, CHANNELS_LAST, FAMILIES["resnet"], ("pit_ti_224", 64, "mix", {})],
    ids=["tokens", "last", "maps", "parts"],
)
def test_there_is_a_map_at_every_site_of_any_network(network):
    backbone, size, *how = network
    net = built(backbone, size, *how)
    image, mask = list(random_batches(size))[1]
    for site in net.description.sites[1:]:  # the first is the image
        fake, real = (grad_cam(net, image, mask, block=site, of=of) for of in ("fake", "real"))
        assert fake.shape == (len(image), size, size)
        assert min(fake.min(), real.min()) >= 0
        assert max(fake.max(), real.max()) == 1


def test_a_map_over_patches_lies_where_the_patches_do():
    backbone, size, *how = TOKENS
    net = built(backbone, size, *how)
    image, mask = list(random_batches(size))[1]
    stage, kept = net.description.stage("blocks.0"), []
    net.place("blocks.0")[0].register_forward_hook(lambda _m, _i, output: kept.append(output) or output.clone())
    logits = net(image.clone().requires_grad_(), mask)
    (gradient,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), kept[0])
    patches = slice(stage.prefix, None)
    weights = gradient[:, patches].mean(dim=1, keepdim=True)
    heat = (weights * kept[0][:, patches]).sum(dim=2).relu().detach().reshape(len(image), 1, 4, 4)
    heat = torch.nn.functional.interpolate(heat, (size, size), mode="bilinear")[:, 0]
    expected = heat / heat.amax(dim=(1, 2), keepdim=True)
    assert torch.allclose(grad_cam(net, image, mask, block="blocks.0"), expected, atol=1e-5)


def test_a_detector_explains_where_its_own_network_says(ckpt, portrait):
    detector = Detector.from_checkpoint(ckpt, device="cpu")
    (seen,) = detector.preprocessing.of_image(portrait[0])
    told = explain(detector, seen)
    assert told.block == detector.net.description.explained
    assert told.block in detector.net.description.sites
    assert told.heat.shape == (SIDE, SIDE)
    assert told.band is None
    with pytest.raises(UserError, match=r"block='stem' is unknown; choose one of: blocks\.0"):
        explain(detector, seen, block="stem")


def test_a_place_that_the_network_lacks_is_refused_before_anything_is_asked(ckpt):
    detector = Detector.from_checkpoint(ckpt, device="cpu")
    assert "timm test_vit at 160 × 160" in repr(detector)
    assert "timm test_vit on images of 160 × 160 pixels" in detector.background[0]
    with pytest.raises(UserError, match=r"block='block12' is unknown; choose one of: blocks\.0"):
        Visit(detector, UploadLimits(), block="block12")
    assert block_of(detector, "patch_embed.proj") == "patch_embed.proj"
    for site in detector.net.description.sites[1:]:
        assert block_of(detector, site) == site


def test_a_network_without_stages_has_no_place_of_its_own_for_a_map(ckpt):
    detector = copy(Detector.from_checkpoint(ckpt, device="cpu"))
    detector.net = create_model("timm", backbone="coat_tiny", placement="none")
    with pytest.raises(UserError, match=r"coat_tiny has no default block.*block=NAME"):
        block_of(detector, None)
    assert any("no stage can be followed by attention" in line for line in told(detector.net.description))


# ---- one pass at a time ------------------------------------------------------------------------------------


def test_two_threads_that_ask_one_network_get_the_answers_of_their_own_masks(ckpt):
    """A network keeps the mask of a pass: the second pass begins while the first one is halfway, if it may."""
    detector = Detector.from_checkpoint(ckpt, device="cpu")
    image = list(random_batches(SIDE))[1][0]
    masks = [fill(len(image), 1, SIDE, SIDE) for fill in (torch.zeros, torch.ones)]
    alone = [detector.probabilities(image, mask) for mask in masks]
    assert not np.allclose(*alone, atol=1e-4)
    begun, found = [], {}
    both = threading.Event()

    def halfway(_module, _inputs):
        begun.append(threading.get_ident())
        if len(set(begun)) == 2:
            both.set()
        both.wait(0.3)

    detector.net.place("blocks.0")[0].register_forward_pre_hook(halfway)

    def ask(number):
        found[number] = detector.probabilities(image, masks[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[number], alone[number]) for number in range(2))
    assert alone_with(detector.net) is alone_with(detector.net)


# ---- the table ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [TOKENS, CHANNELS_LAST], ids=["tokens", "channels_last"])
def test_attention_is_counted_with_the_rest(network):
    backbone, size, *how = network
    net = built(backbone, size, *how).requires_grad_()
    summary = summarise(net, image_size=size)
    assert summary.without_gradient == []
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(*(torch.rand(1, channels, size, size) for channels in (3, 1)))
    assert 2 * summary.multiply_adds == counter.get_total_flops()
    linear = [part for part in net.modules() if isinstance(part, torch.nn.Linear)]
    assert summary.multiply_adds > sum(part.weight.numel() for part in linear)
    assert {stage.name for stage in summary.stages if stage.site} == set(net.description.sites)


def test_the_command_lists_sites_placements_and_what_start_weights_were_made_with(capsys):
    assert main(["model=timm", "model.backbone=resnet10t", "data.image_size=64", "model.placement=late"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    description = create_model("timm", backbone="resnet10t").description
    for site in description.sites:
        assert f"{site} · " in said
    for line in ("model.placement=full", "model.placement=late", "model.placement=none: no ADD block", "0.485, 0.456"):
        assert line in said, line
    assert f"made for {description.side} × {description.side} pixels" in said


# ---- names -------------------------------------------------------------------------------------------------

OWN = {stage.name for stage in XCEPTION.stages} | {stage.module for stage in XCEPTION.stages} | {XCEPTION.name}
ORDINARY = {"", "input", "stem", "middle", "tail"}  # words of English, which mean other things elsewhere


def _named(path):
    """Stage names of Xception in the texts of a module: code that knows one, messages, docstrings."""
    texts = (
        node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
    )
    words = re.compile(rf"\b(?:{'|'.join(sorted(OWN - ORDINARY))}|block\d+|[Xx]ception)\b")
    for text in texts:
        if isinstance(text, str) and (text in {"stem", "middle"} or words.search(text)):
            yield text


def test_no_name_of_a_particular_network_stands_outside_of_the_models():
    root = Path(addnet.__path__[0])
    files = [file for file in root.rglob("*.py") if not file.is_relative_to(root / "models")]
    assert len(files) > 200
    assert {str(file.relative_to(root)): told for file in files if (told := list(_named(file)))} == {}
