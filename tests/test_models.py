"""Masks act where they should and nowhere else; every option runs, learns and survives a round trip."""

import inspect
import itertools

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from addnet.config import load_group
from addnet.errors import UserError
from addnet.models import MODELS, ADDBlock, create_model, pool_mask
from addnet.models.__main__ import main
from addnet.models.summary import summarise, without_gradient
from addnet.models.xception import XCEPTION

PLACEMENTS, SITES = XCEPTION.placements, XCEPTION.sites
PRESETS = ("addnet", "bandpass")  # those that say which backbone they are made of

CHOICES = list(itertools.product(PLACEMENTS, ("multiply", "residual", "mix"), ("adaptive", "chain")))


@pytest.fixture(scope="module")
def backbone():
    """A random Xception whose batch normalisation has seen noise, so that its features are of order 1."""
    net = timm.create_model("legacy_xception", num_classes=0)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 96, 96))
    for norm in norms:
        norm.momentum = 0.1
    return net.eval()


@pytest.fixture
def build(backbone, monkeypatch):
    """Builds networks around the one backbone, which saves a second of initialisation each."""

    def make(*, name="addnet", **options):
        with monkeypatch.context() as patch:
            patch.setattr(timm, "create_model", lambda *_, **__: backbone)
            return create_model(name, **options).eval()

    return make


def batch(count=2, height=64, width=64):
    return torch.randn(count, 3, height, width), torch.rand(count, 1, height, width)


# ---- masks -------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize(("placement", "combine", "pool"), [c for c in CHOICES if c[1] != "residual"])
def test_a_mask_of_ones_leaves_plain_xception(build, backbone, placement, combine, pool):
    net = build(placement=placement, combine=combine, pool=pool)
    image, mask = batch(height=70, width=83)
    features = net.forward_features(image, torch.ones_like(mask))
    assert features.std() > 0.01
    torch.testing.assert_close(features, backbone.forward_features(image), atol=1e-5, rtol=0)
    pooled = net.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, backbone(image), atol=1e-5, rtol=0)


@torch.no_grad()
def test_placement_none_does_not_look_at_the_mask(build):
    net = build(placement="none", combine="mix")
    image, mask = batch()
    expected = net(image)
    assert not list(net.add_blocks.parameters())
    for ignored in (None, mask, torch.full_like(mask, float("nan"))):
        assert torch.equal(net(image, ignored), expected)


@torch.no_grad()
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("pool", ["adaptive", "chain"])
def test_the_mask_changes_the_output_at_every_single_site(build, site, pool):
    net = build(placement=site, pool=pool)
    assert net.placement == (site,)
    image, mask = batch()
    plain = net.forward_features(image, torch.ones_like(mask))
    masked = net.forward_features(image, mask)
    assert (masked - plain).abs().max() > 0.01 * plain.abs().max()


@torch.no_grad()
def test_chain_pools_stage_by_stage_over_sites_without_a_block(build):
    image, mask = batch(height=75, width=90)
    seen = {}
    for pool in ("adaptive", "chain"):
        net = build(placement=["input", "block3"], pool=pool)
        net.add_blocks["block3"].register_forward_hook(lambda _, args, __, pool=pool: seen.update({pool: args[1]}))
        net(image, mask)
    expected, shapes = mask, {}
    for name, modules, _ in net.stages():
        modules[-1].register_forward_hook(lambda *a, name=name: shapes.update({name: a[2].shape[-2:]}))
    net(image, mask)
    for site in ("stem", "block1", "block2", "block3"):
        expected = nn.functional.adaptive_avg_pool2d(expected, shapes[site])
    torch.testing.assert_close(seen["chain"], expected)
    assert torch.equal(seen["adaptive"], mask)


@torch.no_grad()
def test_each_image_meets_its_own_mask(build):
    net = build()
    image, mask = batch(3)
    torch.testing.assert_close(net(image, mask)[1:2], net(image[1:2], mask[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("combine", ["multiply", "residual", "mix"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_block_weights_by_the_pooled_mask_in_the_dtype_of_the_features(combine, dtype):
    block, features = ADDBlock(combine), torch.randn(2, 5, 6, 7).to(dtype)
    weight = 0.25 if combine != "residual" else 1.25
    weighted = block(features, torch.full((2, 1, 30, 20), 0.25))
    assert weighted.dtype == dtype
    torch.testing.assert_close(weighted, features * weight)


def test_pooling_to_the_same_size_is_no_operation_and_ranges_hold():
    mask = torch.rand(2, 1, 37, 41)
    assert pool_mask(mask, (37, 41)) is mask
    pooled = pool_mask(mask, (10, 7))
    assert mask.min() <= pooled.min() <= pooled.max() <= mask.max()


# ---- shapes and learning -----------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize(("placement", "combine", "pool"), CHOICES)
def test_every_choice_gives_logits(build, placement, combine, pool):
    net = build(placement=placement, combine=combine, pool=pool)
    logits = net(*batch())
    assert logits.shape == (2, 2)
    assert logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(("count", "height", "width"), [(1, 64, 64), (2, 65, 97), (1, 91, 50), (3, 33, 32)])
@pytest.mark.parametrize("name", PRESETS)
def test_odd_sizes_other_shapes_and_single_images(build, name, count, height, width):
    net = build(name=name, placement="paper", pool="chain")
    assert net(*batch(count, height, width)).shape == (count, 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("addnet", {"combine": "mix"}),
        ("addnet", {"placement": list(SITES), "combine": "residual", "pool": "chain"}),
        ("bandpass", {"placement": "none"}),
        ("bandpass", {"combine": "mix", "mode": "residual", "kernel_size": 7, "border": "replicate"}),
    ],
)
def test_gradients_reach_every_parameter(build, name, options):
    net = build(name=name, **options).train()
    net.zero_grad()
    logits = net(*batch(height=48, width=48))
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert without_gradient(net) == []
    small = [p for key, p in net.named_parameters() if key.startswith(("add_blocks", "bandpass", "head"))]
    assert all(parameter.grad.abs().sum() > 0 for parameter in small)
    for stage, modules, _ in net.stages():
        gradients = [parameter.grad.abs().sum() for module in modules for parameter in module.parameters()]
        assert not gradients or max(gradients) > 0, stage
    net.eval()


def test_dropout_acts_in_training_only(build):
    net, features = build(drop_rate=0.5), torch.rand(2, 2048, 2, 2)
    assert torch.equal(net.forward_head(features), net.forward_head(features))
    net.dropout.train()
    assert not torch.equal(net.forward_head(features), net.forward_head(features))


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_autocast_and_half_precision_weights(build, backbone, name):
    net = build(name=name)
    image, mask = batch()
    expected = net(image, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(image, mask)
    torch.testing.assert_close(logits.float(), expected, atol=0.2, rtol=0)
    halved = create_model(name).eval().bfloat16()
    assert halved(image.bfloat16(), mask.bfloat16()).dtype == torch.bfloat16


@torch.no_grad()
def test_concat_widens_the_stem_and_keeps_the_interface():
    net = create_model("bandpass", mode="concat", placement="input", kernel_size=9).eval()
    assert net.backbone.conv1.in_channels == 6
    assert net.in_chans == 3
    assert net(*batch(1)).shape == (1, 2)


@torch.no_grad()
def test_classifiers_can_be_exchanged_as_in_timm(build):
    net = build()
    image, mask = batch()
    assert isinstance(net.get_classifier(), nn.Linear)
    net.reset_classifier(5)
    assert net(image, mask).shape == (2, net.num_classes) == (2, 5)
    net.reset_classifier(0)
    assert net(image, mask).shape == (2, net.num_features) == (2, 2048)


@pytest.mark.slow
@torch.no_grad()
def test_the_network_compiles_as_one_graph(build):
    net, given = build(name="bandpass", pool="chain", combine="mix", kernel_size=9), batch()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*given), net(*given))


def test_stages_follow_modules_that_were_replaced(build):
    net = build(placement="full")
    first, net.backbone.bn1 = net.backbone.bn1, nn.Identity()
    try:
        assert net.backbone.bn1 in dict(stage[:2] for stage in net.stages())["stem"]
    finally:
        net.backbone.bn1 = first


# ---- names and values --------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_state_dicts_rebuild_the_network(name, tmp_path):
    first, second = (create_model(name, combine="mix", num_classes=3).eval() for _ in range(2))
    given = batch(1)
    assert not torch.equal(first(*given), second(*given))
    torch.save(first.state_dict(), tmp_path / "net.pt")
    second.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    assert torch.equal(first(*given), second(*given))


@pytest.mark.parametrize("name", PRESETS)
def test_yaml_and_signature_agree(name):
    written = load_group("model", name)
    signature = inspect.signature(MODELS[written.pop("name")]).parameters
    declared = {key: parameter.default for key, parameter in signature.items()}
    assert declared | {"pretrained": True} == {"in_chans": 3} | written


def test_sigma_parameters_are_those_of_the_bandpass(build):
    net = build(name="bandpass")
    assert {id(p) for p in net.sigma_parameters()} == {
        id(net.bandpass.raw_sigma_low),
        id(net.bandpass.raw_delta),
    }
    assert all(p.requires_grad for p in net.sigma_parameters())
    assert not any(p.requires_grad for p in build(name="bandpass", learnable_sigmas=False).sigma_parameters())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"placement": "ful"}, "full"),
        ({"placement": ["block1", "blok2"]}, "block2"),
        ({"placement": ["block1", "block1"]}, "twice"),
        ({"placement": None}, "paper"),
        ({"placement": ["full"]}, "stem"),
        ({"combine": "add"}, "residual"),
        ({"pool": "max"}, "chain"),
        ({"drop_rate": 1.0}, "drop_rate"),
        ({"num_classes": -1}, "num_classes"),
        ({"kernal_size": 3}, "not an option"),
        ({"name": "bandpass", "kernal_size": 3}, "Did you mean 'kernel_size'"),
        ({"name": "bandpass", "kernel_size": 4}, "odd"),
        ({"name": "bandpas"}, "Did you mean 'bandpass'"),
        ({"name": "torch.nn.Linear"}, "addnet, bandpass"),
    ],
    ids=str,
)
def test_wrong_values_are_answered_with_what_is_valid(build, options, named):
    with pytest.raises(UserError, match=named):
        build(**options)


def test_a_missing_or_misshapen_mask_is_refused(build):
    net = build()
    image, mask = batch()
    for wrong in (None, mask[:, 0], mask.expand(2, 3, 64, 64)):
        with pytest.raises(UserError, match="mask"):
            net(image, wrong)


# ---- the summary -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [("addnet", {}), ("bandpass", {"kernel_size": 9, "placement": "paper", "combine": "mix"})],
)
def test_summary_counts_what_torch_counts(build, name, options):
    net = build(name=name, **options)
    summary = summarise(net, image_size=48)
    assert summary.without_gradient == []
    assert summary.parameters == sum(parameter.numel() for parameter in net.parameters())
    assert [stage.name for stage in summary.stages if stage.attention] == list(net.placement)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(*batch(1, 48, 48))
    assert 2 * summary.multiply_adds == counter.get_total_flops()
    assert {stage.name: stage.shape for stage in summary.stages}["tail"] == (2048, 2, 2)


def test_summary_names_parameters_without_gradient(build):
    net = build()
    net.register_parameter("forgotten", nn.Parameter(torch.ones(1)))
    net.dropout.register_forward_hook(lambda _, __, output: output * float("nan"))
    assert {"forgotten", "head.weight"} <= set(summarise(net, image_size=32).without_gradient)
    net.zero_grad()
    net.eval()


def test_command_prints_the_table_and_tells_success_from_mistakes(capsys):
    assert main(["model=bandpass", "model.placement=[stem]", "model.kernel_size=9", "data.image_size=48"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("stem · ADD", "random weights", "finite gradient"))
    for mistake in ("model.placement=ful", "model.placment=full", "model=xception", "data.image_size=8"):
        assert main([mistake]) == 2
        assert capsys.readouterr().err
