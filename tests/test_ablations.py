"""Each ablation differs from its reference in one factor, and that factor does what the name says."""

import re
from pathlib import Path

import pytest
import timm
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from addnet.config import build, compose, config_dir, plain
from addnet.data import DeepfakeDataset, Record
from addnet.errors import UserError
from addnet.faces import AttentionMask, Geometry
from addnet.models import create_model
from addnet.models.xception import XCEPTION

pytestmark = pytest.mark.slow

SITES = XCEPTION.sites

NAMES = sorted(file.stem for file in Path(config_dir(), "ablation").glob("*.yaml"))
EXPECTED = {
    "base": {},
    "no_add_block": {"model.placement": "none"},
    "mask_ones": {"mask.parts": []},
    "face_only": {"mask.parts": ["face"]},
    "organs_only": {"mask.parts": ["organs"]},
    "paper_placement": {"model.placement": "paper"},
    **{f"site_{site}": {"model.placement": site} for site in SITES},
    "residual": {"model.combine": "residual"},
    "mix": {"model.combine": "mix"},
    "gate": {"model.combine": "gate"},
    "chain_pool": {"model.pool": "chain"},
    "no_alignment": {"data.align": False},
    "shuffled_masks": {"data.mask_of": "other"},
    "bandpass": {
        "model.name": "bandpass",
        "model.kernel_size": 31,
        "model.sigma_low": 1.0,
        "model.delta": 1.0,
        "model.mode": "replace",
        "model.border": "reflect",
        "model.learnable_sigmas": True,
    },
    "fixed_sigmas": {"model.learnable_sigmas": False},
    "bandpass_concat": {"model.mode": "concat"},
    "bandpass_residual": {"model.mode": "residual"},
}
OF_BANDPASS = {"fixed_sigmas", "bandpass_concat", "bandpass_residual"}


def _flat(node, prefix=""):
    if not isinstance(node, dict):
        return {prefix[:-1]: node}
    return {key: value for name in node for key, value in _flat(node[name], f"{prefix}{name}.").items()}


def _compose(name, *overrides):
    fixed = ["experiment=demo", "paths.output_dir=outputs/here"]
    return compose([*fixed, *overrides, *([f"ablation={name}"] if name else [])])


def _expected(name):
    return EXPECTED[name] | (
        {"data.mask.parts": EXPECTED[name]["mask.parts"]} if "mask.parts" in EXPECTED[name] else {}
    )


def test_every_file_is_expected_and_every_expected_file_is_there():
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("overrides", [[], ["model=bandpass"]], ids=["addnet", "bandpass"])
@pytest.mark.parametrize("name", NAMES)
def test_an_ablation_changes_one_factor_of_its_reference(name, overrides):
    cfg = _flat(plain(_compose(name, *overrides)))
    assert cfg["compare_to"] == ("bandpass" if name in OF_BANDPASS else "base")
    reference = _flat(plain(_compose(cfg["compare_to"], *overrides)))
    changed = {key: value for key, value in cfg.items() if reference.get(key, "absent") != value}
    for told in ("compare_to", "logger.comet.name"):  # what a run is called follows from what it is
        changed.pop(told, None)
    expected = {} if overrides and name == "bandpass" else _expected(name)  # it is the experiment itself then
    assert changed == expected
    assert set(reference) <= set(cfg)


def test_the_reference_is_the_experiment_itself():
    assert _compose("base") == _compose(None)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_which_question_it_answers(name):
    text = Path(config_dir(), "ablation", f"{name}.yaml").read_text(encoding="utf-8")
    assert re.match(r"# @package _global_\n# [A-Z].*[.?]\n", text)
    assert ("?" in text.splitlines()[1]) == (name != "base")


def test_what_the_command_line_says_wins_over_an_ablation():
    assert _compose("site_stem", "model.placement=block1").model.placement == "block1"
    assert _compose("fixed_sigmas", "model.kernel_size=15").model.kernel_size == 15


# ---- what they do to the network ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backbone():
    """A random Xception whose statistics are of order 1."""
    torch.manual_seed(0)
    net = timm.create_model("legacy_xception", num_classes=0)
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 96, 96))
    return net.eval()


@pytest.fixture
def network(backbone, monkeypatch):
    """Builds the network of an ablation around one backbone."""

    def make(name, *overrides):
        options = plain(_compose(name, *overrides).model)
        with monkeypatch.context() as patch:
            if options.get("mode") != "concat":  # which has a wider stem
                patch.setattr(timm, "create_model", lambda *_, **__: backbone)
            return create_model(options.pop("name"), **options).eval()

    return make


IMAGE, MASK = torch.randn(2, 3, 64, 64), torch.rand(2, 1, 64, 64)


@torch.no_grad()
def test_without_add_blocks_it_is_plain_xception_for_any_mask(network, backbone):
    net = network("no_add_block")
    assert not net.add_blocks
    expected = backbone.forward_features(IMAGE)
    for mask in (MASK, torch.zeros_like(MASK), None):
        torch.testing.assert_close(net.forward_features(IMAGE, mask), expected, atol=1e-5, rtol=0)
    assert not torch.allclose(network("base").forward_features(IMAGE, MASK), expected, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("name", ["paper_placement", *(f"site_{site}" for site in SITES), "residual", "chain_pool"])
def test_the_same_weights_answer_otherwise(network, name):
    net, reference = network(name), network("base")
    sites = {"paper_placement": ("input", "stem", "block1", "block2", "block3")}
    sites |= {f"site_{site}": (site,) for site in SITES}
    assert net.placement == sites.get(name, reference.placement)
    one, other = (each.forward_features(IMAGE, MASK) for each in (net, reference))
    assert (one - other).abs().max() > 1e-4 * other.abs().max()


def test_a_mix_learns_its_amounts(network):
    names = {name for name, _ in network("mix").named_parameters()}
    assert names - {name for name, _ in network("base").named_parameters()} == {
        f"add_blocks.{site}.amount" for site in ("block1", "block2", "block3", "middle", "block12")
    }


def test_sigmas_learn_unless_fixed(network):
    learning, fixed = network("bandpass"), network("fixed_sigmas")
    assert all(parameter.requires_grad for parameter in learning.sigma_parameters())
    assert not any(parameter.requires_grad for parameter in fixed.sigma_parameters())
    assert network("base").bandpass is None
    with torch.no_grad():
        assert torch.equal(learning.bandpass(IMAGE), fixed.bandpass(IMAGE))


@torch.no_grad()
def test_concat_adds_channels_and_residual_adds_the_band(network):
    band = network("bandpass").bandpass(IMAGE)
    torch.testing.assert_close(network("bandpass_residual").bandpass(IMAGE), IMAGE + band)
    concat = network("bandpass_concat")
    assert torch.equal(concat.bandpass(IMAGE), torch.cat([IMAGE, band], dim=1))
    assert concat.backbone.conv1.in_channels == 6


TIMM = ("model=timm", "model.backbone=test_vit", "model.pretrained=false", "data.image_size=160")


def test_those_of_any_network_are_built_with_one_of_timm():
    text = OmegaConf.load(Path(config_dir(), "sweep", "ablations_any.yaml")).hydra.sweeper.params.ablation
    chosen = OverridesParser.create().parse_override(f"ablation={text}").value().filter(NAMES)
    assert {"base", "no_add_block", "mask_ones", "gate"} <= set(chosen)
    for name in chosen:
        options = plain(_compose(name, *TIMM).model)
        assert (options.pop("name"), options["backbone"]) == ("timm", "test_vit")
        with torch.device("meta"):
            create_model("timm", **options)


def test_a_site_that_the_network_lacks_is_answered_with_those_that_it_has():
    options = plain(_compose("site_stem", *TIMM).model)
    with pytest.raises(UserError, match=r"'stem' is unknown; choose one of: full.*blocks\.0"):
        create_model(options.pop("name"), **options)


# ---- what they do to the data ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(portrait, tmp_path_factory):
    """Makes the samples of an ablation: two tilted faces of two videos, without augmentation."""
    import cv2

    from addnet.faces.geometry import map_landmarks

    root, records, landmarks = tmp_path_factory.mktemp("pair"), [], []
    for number, degrees in enumerate((12.0, -9.0)):
        matrix = cv2.getRotationMatrix2D((100, 100), degrees, 0.9 - 0.2 * number)
        cv2.imwrite(str(root / f"{number}.png"), cv2.warpAffine(portrait[0], matrix, (200, 200)))
        records.append(
            Record(
                path=f"{number}.png",
                label=number,
                split="train",
                video_id=str(number),
                group_id=str(number),
                dataset="d",
            )
        )
        landmarks.append(map_landmarks(portrait[1], matrix))

    def make(name):
        data = _compose(name).data
        geometry = Geometry(size=96, align=data.align, crop=data.crop, margin=data.margin)
        mask: AttentionMask = build(data.mask)
        dataset = DeepfakeDataset(
            root,
            records,
            landmarks=landmarks,
            shapes=[(200, 200)] * 2,
            geometry=geometry,
            mask=mask,
            mask_of=data.mask_of,
        )
        return [dataset[index] for index in range(2)]

    return make


@pytest.mark.parametrize("name", ["mask_ones", "face_only", "organs_only", "shuffled_masks"])
def test_masks_change_and_images_stay(samples, name):
    for sample, reference in zip(samples(name), samples("base"), strict=True):
        assert torch.equal(sample["image"], reference["image"])
        assert (sample["mask"] - reference["mask"]).abs().max() > 0.2


def test_masks_are_what_their_names_say(samples):
    ones, face, organs, base = (samples(name)[0]["mask"] for name in ("mask_ones", "face_only", "organs_only", "base"))
    assert ones.min() == 1
    assert organs.mean() < face.mean()
    assert (base <= torch.maximum(face, organs) + 1e-3).all()
    assert ((face > 0.9) & (organs < 0.1)).any()  # cheeks


def test_shuffled_masks_are_those_of_others(samples):
    shuffled, own = samples("shuffled_masks"), samples("base")
    for index in range(2):
        assert torch.equal(shuffled[index]["mask"], own[1 - index]["mask"])
        assert not torch.equal(shuffled[index]["mask"], own[index]["mask"])


def test_without_alignment_faces_stay_tilted_and_masks_follow(samples):
    tilted, level = samples("no_alignment"), samples("base")
    for one, other in zip(tilted, level, strict=True):
        assert not torch.equal(one["image"], other["image"])
        assert not torch.equal(one["mask"], other["mask"])
