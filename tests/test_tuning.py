"""Of a backbone that part is trained that `tune` says and nothing else; tuned weights merge into plain ones."""

import copy

import pytest
import timm
import torch

import tiny
from addnet.errors import UserError
from addnet.models import ADDNet, create_model
from addnet.models.lora import folded
from addnet.models.tuning import NORMS, at_rest, merge_tuned, still_entries
from addnet.training.optim import build_optimizer

SIZE = 64  # of the images: 16 patches of timm's tiny transformers


def _net(backbone, tune, **options):
    torch.manual_seed(0)
    vit = {"options": {"dynamic_img_size": True}} if "vit" in backbone else {}
    return create_model("timm", backbone=backbone, tune=tune, combine="mix", **vit, **options)


def _learning(net):
    return {name for name, parameter in net.named_parameters() if parameter.requires_grad}


def _of_backbone(net):
    return {name.removeprefix("backbone.") for name in _learning(net) if name.startswith("backbone.")}


@pytest.mark.parametrize("tune", ["all", "head", "norm", "bias", "last:1"])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext2", "test_efficientnet_evos"])
def test_a_part_learns_and_what_is_new_always(backbone, tune):
    net = _net(backbone, tune, front="bandpass")
    every = {name for name, _ in net.named_parameters()}
    outside = {name for name in every if not name.startswith("backbone.")}
    assert {name.split(".")[0] for name in outside} == {"add_blocks", "bandpass", "head"}
    assert outside <= _learning(net)
    assert (_learning(net) == every) == (tune == "all")
    assert (_learning(net) == outside) == (tune == "head")


@pytest.mark.parametrize("front", ["none", "bandpass"])
def test_every_parameter_that_learns_gets_a_gradient_and_no_other(front):
    for backbone, tune in (
        ("test_vit", "norm"),
        ("test_resnet", "bias"),
        ("test_vit", "lora:2"),
        ("test_vit", "last:2"),
    ):
        net = _net(backbone, tune, front=front)
        net(torch.randn(2, 3, SIZE, SIZE), torch.rand(2, 1, SIZE, SIZE)).square().sum().backward()
        got = {name for name, parameter in net.named_parameters() if parameter.grad is not None}
        assert got == _learning(net)
        assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_normalisation_of_clip_large_has_102_400_numbers():
    with torch.device("meta"):
        net = ADDNet("vit_large_patch14_clip_quickgelu_224.openai", placement="none", tune="norm", head="cosine_bias")
    learning = {name: parameter.numel() for name, parameter in net.named_parameters() if parameter.requires_grad}
    head = {name: size for name, size in learning.items() if name.startswith("head.")}
    assert sum(learning.values()) - sum(head.values()) == 102_400
    assert all("norm" in name for name in learning.keys() - head.keys())


NORMALISING = ["resnet18", "convnextv2_atto", "swin_tiny_patch4_window7_224", "caformer_s18", "vitamin_small_224"]
NORMALISING += ["levit_128s", "test_efficientnet_gn", "test_efficientnet_evos", "aimv2_large_patch14_224"]


@pytest.mark.parametrize("name", NORMALISING)
def test_normalisation_is_found_by_type(name):
    with torch.device("meta"):
        backbone = timm.create_model(name, num_classes=0)
    for module in backbone.modules():
        if "norm" in type(module).__name__.lower() and any(True for _ in module.parameters(recurse=False)):
            assert isinstance(module, NORMS), type(module)


def test_the_last_stages_are_those_of_the_network():
    one, two = (_of_backbone(_net("test_resnet", f"last:{number}")) for number in (1, 2))
    assert {name.split(".")[0] for name in one} == {"layer4"}
    assert {name.split(".")[0] for name in two} == {"layer3", "layer4"}
    assert _of_backbone(_net("test_vit", "last:1")) == {"norm.weight", "norm.bias"}


@pytest.mark.parametrize(
    ("backbone", "tune", "said"),
    [
        ("test_vit", "last:0", r"model.tune='last:0' is not valid; use one of: all, head, norm, bias, last:K, lora:R"),
        ("test_vit", "lora:0", "whole numbers of at least 1"),
        ("test_vit", "nrom", "Did you mean 'norm'"),
        ("test_vit", None, "model.tune=None is not valid"),
        (
            "test_nfnet",
            "norm",
            "model.tune=norm: test_nfnet has no normalisation layers .* use one of: .*model.tune=bias",
        ),
        ("test_resnet", "lora:4", "model.tune=lora:4: test_resnet has no attention with linear layers; use one of: "),
        ("test_vit", "lora:99", "have rank 64 at most; use 1 to 64 for R"),
        ("test_resnet", "last:9", r"test_resnet has 5 stages with parameters \(.*layer4\); use 1 to 5 for K"),
    ],
)
def test_what_a_network_has_not_is_refused_with_what_is_valid(backbone, tune, said):
    with pytest.raises(UserError, match=said):
        _net(backbone, tune)


def test_a_table_that_timm_keeps_fixed_stays_so():
    with torch.device("meta"):
        backbone = timm.create_model("vit_small_patch16_224", num_classes=0)
        net = ADDNet("vit_small_patch16_224", tune="norm")
    fixed = {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}
    assert not fixed & _of_backbone(net)


@pytest.mark.parametrize("name", ["test_vit", "test_vit_relpos", "eva02_tiny_patch14_224", "test_maxvit"])
def test_low_rank_updates_start_at_nothing_change_answers_and_merge(name):
    options = {"img_size": 56} if "eva" in name else {}
    torch.manual_seed(0)
    net = ADDNet(name, placement="none", tune="lora:2", options=options).eval()
    size = net.description.side
    image = torch.randn(2, 3, size, size)
    torch.manual_seed(0)
    plain = ADDNet(name, placement="none", options=options).eval()
    assert set(plain.state_dict()) <= set(net.state_dict())
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if "lora" not in key})
    with torch.no_grad():
        assert torch.equal(net(image), plain(image))
        for key, parameter in net.named_parameters():
            if "lora" in key:
                parameter.normal_()
        copied = copy.deepcopy(net)
        tuned, state = net(image), net.state_dict()
        assert not torch.allclose(tuned, plain(image), atol=1e-3)
        merge_tuned(net)
        assert set(net.state_dict()) == set(plain.state_dict())
        assert torch.equal(net(image), tuned)
        plain.load_state_dict(folded(state))
        assert torch.equal(plain(image), tuned)
        assert torch.equal(copied(image), tuned)  # a copy is tuned as well


def test_updates_come_along_as_start_weights_of_another_training(tmp_path):
    net = _net("test_vit", "lora:2").eval()
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            parameter.normal_() if "lora_b" in key else None
    torch.save({"state_dict": {f"net.{key}": value for key, value in net.state_dict().items()}}, tmp_path / "it.ckpt")
    other = _net("test_vit", "norm", weights=str(tmp_path / "it.ckpt")).eval()
    image = torch.randn(1, 3, SIZE, SIZE)
    assert torch.equal(other.backbone(image), net.backbone(image))


def test_every_layer_that_is_updated_counts():
    net = ADDNet("eva02_tiny_patch14_224", placement="none", tune="lora:2", options={"img_size": 56})
    net(torch.randn(1, 3, 56, 56)).sum().backward()
    assert all(p.grad is not None for key, p in net.named_parameters() if "lora" in key)  # also where EVA reads weights


def test_statistics_stay_where_nothing_of_their_layer_learns():
    net = _net("test_resnet", "last:1")
    resting = {name for name, module in net.named_modules() if module in at_rest(net)}
    assert resting
    assert not any(name.startswith("backbone.layer4") for name in resting)
    assert "backbone.conv1.1.running_mean" in still_entries(net)
    assert not any("layer4" in name for name in still_entries(net))
    assert not any("running" in name for name in still_entries(_net("test_resnet", "norm")))


def test_what_start_weights_were_made_to_fit_by_arithmetic_counts_as_changed():
    assert "backbone.pos_embed" in still_entries(_net("test_vit", "norm"))
    resized = create_model("timm", backbone="test_vit", tune="norm", image_size=SIZE)
    assert "backbone.pos_embed" not in still_entries(resized)
    assert "backbone.cls_token" in still_entries(resized)


@pytest.mark.parametrize("tune", ["head", "norm", "last:1", "lora:2"])
def test_training_changes_what_is_tuned_and_nothing_else(tune):
    backbone = "test_vit" if tune.startswith("lora") else "test_resnet"
    module = tiny.detector(model=tiny.timm_model(backbone, tune))
    start = {name: value.clone() for name, value in module.net.state_dict().items()}
    tiny.fit(module, max_epochs=1, side=SIZE)
    changed = {name for name, value in module.net.state_dict().items() if not torch.equal(value, start[name])}
    assert not changed & module.still
    assert {name for name in changed if "running" not in name and "num_batches" not in name} <= module.learning
    assert {name for name, value in start.items() if value.is_floating_point()} - changed - module.still == set()


def test_rates_fall_from_stage_to_stage_also_where_most_is_frozen():
    settings = {"name": "adamw", "lr": 1e-3, "weight_decay": 0.05, "layer_decay": 0.5}
    for tune, groups in (("norm", 8), ("last:2", 7), ("head", 5)):
        net = _net("test_vit", tune)
        optimizer = build_optimizer(net, settings)
        told = [group["name"] for group in optimizer.param_groups]
        listed = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        assert all(group["params"] for group in optimizer.param_groups)
        assert {id(parameter) for parameter in listed} == {id(p) for p in net.parameters() if p.requires_grad}
        assert told[0] == "weights.head"
        assert len(told) == groups
        assert all(group["weight_decay"] == 0.05 for group in optimizer.param_groups)
