"""Any network of timm takes attention, at any size that it allows; what it doesn't take is refused in words."""

import importlib.util
import inspect
import sys
from pathlib import Path

import pytest
import torch

from addnet.config import compose, plain
from addnet.errors import UserError
from addnet.inference.network import build_network
from addnet.models import ADDNet, create_model
from addnet.models.timm_stages import describe

DOZEN = ("test_resnet", "test_efficientnet", "test_convnext", "test_byobnet", "test_coatnet", "test_mambaout")
DOZEN += ("test_nfnet", "test_vit", "test_vit_relpos", "starnet_s050", "lcnet_035", "test_vit4")
FORMS = {"test_resnet": "maps", "test_vit": "tokens", "test_mambaout": "channels_last"}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("models_script", Path(__file__).parents[1] / "scripts" / "models.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def small(name, **options):
    torch.manual_seed(0)
    return ADDNet(name, image_size=64, drop_rate=0.0, **options).eval()


def batch(side=64):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(2, 3, side, side, generator=generator) * 2 - 1
    return image, torch.rand(2, 1, side, side, generator=generator)


def _good(found):
    assert found.difference <= 1e-5
    assert not found.without
    assert not found.beyond


# ---- what every network does -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOZEN)
def test_attention_everywhere_leaves_features_with_ones_and_teaches_what_is_trained(script, name):
    _good(script.check(name))


@pytest.mark.parametrize(("name", "stages", "part"), [("pit_ti_224", 3, 0), ("coat_lite_tiny", 4, None)])
def test_stages_that_give_several_things_or_are_lists_are_found(script, name, stages, part):
    _good(script.check(name))
    _, *rest = describe(name).stages
    assert len(rest) == stages
    assert {stage.part for stage in rest} == {part}
    assert not rest[-1].site  # a class token alone is read behind it


@pytest.mark.parametrize("name", ["mvitv2_tiny", "twins_svt_small", "hrnet_w18_small", "tnt_s_legacy_patch16_224"])
def test_stages_are_found_where_they_have_names_of_no_module_or_give_pixels_too(name):
    assert len(describe(name).placed("full")) >= 4


@pytest.mark.families
def test_the_same_holds_for_every_family_of_timm(script):
    for name in script.NAMES.split():
        if name not in DOZEN and not describe(name).lacking:
            _good(script.check(name))


@torch.no_grad()
@pytest.mark.parametrize(("name", "form"), FORMS.items())
@pytest.mark.parametrize("combine", ["multiply", "residual", "mix", "gate"])
def test_masks_act_on_features_of_every_form(name, form, combine):
    net = small(name, combine=combine, pool="chain")
    assert {net.description.stage(site).form for site in net.placement[1:]} == {form}
    image, mask = batch()
    plain_features = net.backbone.forward_features(net._rescaled(image))
    masked, ones = net.forward_features(image, mask), net.forward_features(image, torch.ones_like(mask))
    assert torch.equal(ones, plain_features) == (combine != "residual")
    assert torch.equal(masked, plain_features) == (combine == "gate")


@pytest.mark.parametrize("name", FORMS)
def test_gates_learn_from_their_start_at_the_pretrained_network(name):
    net = small(name, combine="gate").train()
    torch.nn.functional.cross_entropy(net(*batch()), torch.tensor([0, 1])).backward()
    amounts = [net.block_at(site).amount for site in net.placement]
    assert all(amount.grad.abs().sum() > 0 for amount in amounts)
    assert [len(amount) for amount in amounts] == [net.description.stage(site).channels for site in net.placement]


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("mode", ["replace", "concat", "residual"])
def test_the_bandpass_layer_stands_in_front_of_any_network(name, mode):
    net = small(name, front="bandpass", kernel_size=9, mode=mode)
    assert next(stage for stage, *_ in net.stages()) == "bandpass"
    assert net(*batch()).isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_vit_relpos", "test_coatnet", "vit_tiny_patch16_dinov3_qkvb", "tiny_vit_5m_224"])
def test_checkpoints_rebuild_networks_whose_tables_no_state_dict_holds(name):
    options = {"backbone": name, "image_size": 64, "combine": "gate"}
    net = create_model("timm", **options).eval()
    again = build_network({"name": "timm", **options}, net.state_dict(), path="best.ckpt")
    assert torch.equal(again(*batch()), net(*batch()))


# ---- configs -----------------------------------------------------------------------------------------------


def test_yaml_and_signature_agree():
    written = plain(compose(["model=timm", "model.backbone=test_vit", "data.image_size=64"]).model)
    assert (written.pop("name"), written.pop("backbone"), written.pop("image_size")) == ("timm", "test_vit", 64)
    declared = {key: each.default for key, each in inspect.signature(ADDNet).parameters.items()}
    declared = {key: value for key, value in declared.items() if key not in ("backbone", "image_size", "description")}
    assert declared | {"pretrained": True} == {"in_chans": 3} | written


def test_a_network_learns_the_size_of_the_images_from_the_data():
    options = plain(compose(["model=timm", "model.backbone=test_vit", "data.image_size=96"]).model)
    net = create_model(options.pop("name"), **options | {"pretrained": False})
    assert net.backbone.patch_embed.grid_size == (6, 6)


@pytest.mark.parametrize("typed", ["model.options={drop_path_rate: 0.1}", "++model.options.drop_path_rate=0.1"])
def test_options_are_typed_as_a_mapping_or_one_by_one(typed):
    assert compose(["model=timm", "model.backbone=test_vit", typed]).model.options == {"drop_path_rate": 0.1}


@torch.no_grad()
def test_options_of_timm_reach_the_network():
    net = small("test_vit", options={"dynamic_img_size": True, "global_pool": "avg", "drop_path_rate": 0.1})
    assert net.backbone.global_pool == "avg"
    assert net(*batch(96)).shape == (2, 2)


# ---- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet_50", "the nearest names are resnet50,"),
        ("convnextt", "convnext_tiny"),
        ("resnet18.zz", "it has resnet18.a1_in1k"),
        ("hf-hub:somebody/something", "not a network of timm"),
        ("???", "model.backbone is missing"),
    ],
)
def test_unknown_backbones_are_answered_with_the_nearest_names(name, said):
    with pytest.raises(UserError, match=said.replace(".", r"\.").replace("?", r"\?")):
        create_model("timm", backbone=name)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("test_vit", {"drop_path": 0.1}, "Did you mean 'drop_path_rate'"),
        ("test_vit", {"drop_path_rate": "high"}, "must be a number"),
        ("test_vit", {"drop_rate": 0.1}, "use model.drop_rate"),
        ("test_vit", {"pos_embed": "sideways"}, "can't be built with pos_embed='sideways'"),
        ("test_byobnet", {"stem": 3}, "stem_chs"),
        ("test_resnet", {"checkpoint_path": "/etc/passwd"}, "not an option of test_resnet"),
        ("test_resnet", {"pretrained_cfg_overlay": {"file": "weights.pt"}}, "not an option of test_resnet"),
    ],
)
def test_options_are_checked_against_the_network(name, options, said):
    with pytest.raises(UserError, match=said):
        create_model("timm", backbone=name, options=options)


def test_one_size_is_named_once():
    with pytest.raises(UserError, match=r"can't be combined with data\.image_size=64"):
        create_model("timm", backbone="test_vit", image_size=64, options={"img_size": 96})


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("test_vit", 70, "omit 6 pixels of each row.*use data.image_size=64 or data.image_size=80"),
        ("efficientformer_l1", 299, "use data.image_size=224"),
    ],
)
def test_a_size_that_does_not_fit_is_answered_with_sizes_that_do(name, size, said):
    with pytest.raises(UserError, match=said) as error:
        create_model("timm", backbone=name, image_size=size)
    for told in str(error.value).split("data.image_size=")[2:]:
        assert describe(name, image_size=int(told.split()[0].strip(",.")))


def test_a_network_without_stages_says_so_and_runs_without_attention():
    with pytest.raises(UserError, match=r"choose one of: none, input.*hiera_tiny_224.*not in row order"):
        ADDNet("hiera_tiny_224")
    with torch.device("meta"):
        net = ADDNet("hiera_tiny_224", placement="none")
        assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 2)


def test_an_unknown_placement_is_answered_with_those_of_the_network():
    with pytest.raises(UserError, match=r"blocks\.9.*full, late, none, input, blocks.0"):
        ADDNet("test_vit", placement="blocks.9")


def test_the_tokens_of_a_prefix_are_told_from_patches():
    """Four patches and five tokens before them would be a grid of 3 × 3, too."""
    name = "vit_tiny_patch16_dinov3_qkvb"
    assert {stage.prefix for stage in describe(name, image_size=32).stages[1:]} == {5}
    net = ADDNet(name, image_size=32, placement="blocks.0").eval()
    seen = {}
    net.block_at("blocks.0").register_forward_hook(lambda _, given, out: seen.update(before=given[0], after=out))
    with torch.no_grad():
        net(torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32))
    assert torch.equal(seen["after"][:, :5], seen["before"][:, :5])
    assert not seen["after"][:, 5:].any()


@torch.no_grad()
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_masks_count_at_every_site_of_a_transformer(pool):
    net = small("test_vit", options={"global_pool": pool})
    assert ("blocks.5" in net.description.sites) == (pool == "avg")  # of the last block the class token alone is read
    image, mask = batch()
    for site in net.description.sites:
        each = small("test_vit", options={"global_pool": pool}, placement=site)
        assert not torch.equal(each(image, mask), each(image, torch.ones_like(mask))), site


def test_an_encoder_that_cannot_pool_its_features_is_refused_when_it_is_named():
    with pytest.raises(UserError, match=r"model\.backbone=gemma4_vit_570m_enc is not a classifier"):
        describe("gemma4_vit_570m_enc")
