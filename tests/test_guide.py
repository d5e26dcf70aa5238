"""The guide is the share of a network's evidence outside the mask, and following it brings the evidence inside."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

import tiny
from addnet.errors import UserError
from addnet.models import create_model
from addnet.training import DeepfakeDetector
from addnet.training.guide import evidence, outside
from addnet.training.terms import FeatureLoss
from test_any_network import SMALL_SWIN

SIDE = 64
AVERAGED = {
    "maps": ("test_resnet", {}),
    "maps behind a convolution": ("test_efficientnet", {}),
    "channels last": ("swin_tiny_patch4_window7_224", SMALL_SWIN),
}
BEHIND = {  # a normalisation or a layer stands behind the average
    "maps": ("test_convnext", {}),
    "tokens": ("test_vit", {"global_pool": "avg"}),
    "a layer": ("mobilenetv3_small_050", {}),
}
REFUSED = {
    "class token": ("test_vit", {}, 64, "++model.options.global_pool=avg"),
    "attention": ("test_vit", {"global_pool": "map"}, 64, "doesn't average"),
    "maximum": ("test_resnet", {"global_pool": "max"}, 64, "doesn't average"),
    "statistics of the batch": ("mobilenetv4_conv_small", {}, 64, "norm_head normalises over the batch"),
    "one position": ("test_resnet", {}, 32, "a single position; use larger images"),
}


def _model(backbone, options, *, side=SIDE, **more):
    how = {"backbone": backbone, "options": options, "image_size": side, "placement": "none", "drop_rate": 0.0}
    return {"name": "timm", **how, **more}


def _net(backbone, options, **more):
    torch.manual_seed(0)
    model = _model(backbone, options, **more)
    return create_model(model.pop("name"), **model)


def _detector(backbone="test_resnet", options=None, *, side=SIDE, weight=1.0, **more):
    torch.manual_seed(0)
    seen = {"image_size": side, **more.pop("preprocessing", {})}
    return DeepfakeDetector(
        _model(backbone, options or {}, side=side), loss={"guide": weight}, preprocessing=seen, **more
    )


def _batch(rows=4, side=SIDE):
    mask = torch.zeros(rows, 1, side, side)
    mask[:, :, : side // 2, : side // 2] = 1
    return torch.rand(rows, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1, mask


# ---- the term ----------------------------------------------------------------------------------------------


def test_it_is_the_share_of_the_evidence_outside_the_mask_whichever_class_that_speaks_for():
    found = torch.tensor([[[1.0, -2.0], [3.0, -4.0]], [[0.0, 0.0], [0.0, 5.0]]])
    mask = torch.tensor([[[1.0, 0.5], [0.0, 0.25]], [[1.0, 1.0], [1.0, 0.0]]])[:, None]
    first = (1 * 0 + 2 * 0.5 + 3 * 1 + 4 * 0.75) / 10
    both = torch.tensor([True, True])
    assert outside(found, mask, both).item() == pytest.approx((first + 1) / 2)
    large = functional.interpolate(mask, (8, 8), mode="nearest")  # averaged down to the grid of the evidence
    assert outside(found, large, both).item() == pytest.approx((first + 1) / 2)
    assert outside(1000 * found, mask, both).item() == pytest.approx((first + 1) / 2)


def test_a_mask_of_ones_and_no_evidence_give_nothing():
    found = torch.randn(3, 2, 2).requires_grad_()
    valid = torch.ones(3, dtype=torch.bool)
    assert outside(found, torch.ones(3, 1, 8, 8), valid) == 0
    none = torch.zeros(3, 2, 2).requires_grad_()
    value = outside(none, torch.zeros(3, 1, 8, 8), valid)
    value.backward()
    assert value == 0
    assert (none.grad == 0).all()


def test_rows_that_are_not_valid_count_nowhere_and_get_no_gradient():
    found, mask = torch.randn(3, 2, 2), torch.rand(3, 1, 2, 2)
    found[1], mask[1] = torch.nan, torch.nan
    found.requires_grad_()
    valid = torch.tensor([True, False, True])
    value = outside(found, mask, valid)
    assert value.item() == pytest.approx(outside(found[valid], mask[valid], valid[valid]).item())
    value.backward()
    assert (found.grad[1] == 0).all()
    assert (found.grad[valid] != 0).any()
    assert outside(found, mask, torch.zeros(3, dtype=torch.bool)) == 0


# ---- the evidence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["linear", "cosine"])
@pytest.mark.parametrize("form", AVERAGED)
def test_the_mean_of_the_evidence_is_what_the_network_says(form, head):
    net = _net(*AVERAGED[form], head=head).eval()
    image, mask = _batch()
    features = net.forward_features(image, mask)
    found, logits = evidence(net, features, mask), net.forward_head(features)
    said = logits[:, 1] - logits[:, 0]
    if head == "linear":
        said = said - (net.head.bias[1] - net.head.bias[0])
    else:
        said = said * net.forward_head(features, pre_logits=True).norm(dim=1)
    torch.testing.assert_close(found.mean(dim=(1, 2)), said)


@pytest.mark.parametrize("form", BEHIND)
def test_what_stands_behind_the_average_is_applied_to_each_position(form):
    net = _net(*BEHIND[form]).eval()
    image, mask = _batch()
    features = net.forward_features(image, mask)
    maps = net.description.stages[-1].maps(features, mask)
    expected = net.forward_head(net.description.stages[-1].apart(maps[:1, :, 1:2, 1:2]), pre_logits=True)
    torch.testing.assert_close(net.position_features(features, mask)[0, :, 1, 1], expected[0])


def test_it_is_computed_in_float32_under_mixed_precision():
    net = _net("test_resnet", {}).eval()
    image, mask = _batch()
    with torch.autocast("cpu", torch.bfloat16):
        features = net.forward_features(image, mask)
        found = evidence(net, features, mask)
        share = outside(found, mask, torch.ones(4, dtype=torch.bool))
    assert features.dtype == torch.bfloat16
    assert found.dtype == share.dtype == torch.float32
    assert torch.equal(found, evidence(net, features.float(), mask))


@pytest.mark.parametrize(("backbone", "options"), [("test_efficientnet", {}), ("test_vit", {"global_pool": "avg"})])
def test_following_it_brings_the_evidence_into_the_mask(backbone, options):
    net = _net(backbone, options, placement="full", combine="gate").eval()
    image, mask = _batch()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
    shares = []
    for _ in range(6):
        value = outside(FeatureLoss(guide=1).ask(net, image, mask).evidence, mask, torch.ones(4, dtype=torch.bool))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        shares.append(value.item())
    assert shares[-1] < shares[0] - 0.01


# ---- in training -------------------------------------------------------------------------------------------


class Faces(tiny.Images):
    """Images whose masks cover a quarter."""

    def __getitem__(self, index):
        return super().__getitem__(index) | {"mask": _batch(1, self.side)[1][0]}


def test_a_step_adds_it_with_its_weight_and_logs_it_without():
    module = _detector(weight=0.5, optimizer=tiny.SGD)
    loader = DataLoader(Faces(4, SIDE), batch_size=4)
    batch, net = next(iter(loader)), deepcopy(module.net).train()
    with torch.no_grad():
        asked = FeatureLoss(guide=1).ask(net, batch["image"], batch["mask"])
        rows = functional.cross_entropy(asked.logits, batch["label"]).item()
        share = outside(asked.evidence, batch["mask"], batch["valid"]).item()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", limit_val_batches=0, **quiet)
    trainer.fit(module, loader)
    told = trainer.callback_metrics
    assert 0.2 < share < 1
    assert told["train/step/guide"].item() == pytest.approx(share, abs=1e-6)
    assert told["train/step/loss"].item() == pytest.approx(rows + 0.5 * share, abs=1e-5)
    assert told["train/frame/loss"].item() == pytest.approx(rows, abs=1e-5)


def test_it_needs_no_pairs_and_a_whole_network():
    module = _detector()
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    module.check_trainer(trainer, 1)
    sharded = SimpleNamespace(strategy=pl.strategies.FSDPStrategy())
    with pytest.raises(UserError, match=r"loss\.guide=1 can't be combined with FSDPStrategy"):
        module.feature_loss.check_trainer(sharded, 8)


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED)
def test_networks_whose_logits_are_not_made_of_positions_are_refused_before_training(case):
    backbone, options, side, why = REFUSED[case]
    with pytest.raises(UserError) as refused:
        _detector(backbone, options, side=side)
    assert str(refused.value).startswith(f"loss.guide=1 can't be used with {backbone} at {side} pixels")
    assert why in str(refused.value)
    _detector(backbone, options, side=side, weight=0.0)


def test_networks_that_do_not_say_where_features_lie_and_masks_of_ones_are_refused(monkeypatch):
    from addnet.models import MODELS

    monkeypatch.setitem(MODELS, "timm_like", tiny.TimmLikeNet)
    with pytest.raises(
        UserError, match=r"TimmLikeNet, which lacks position_features, description; leave loss\.guide at 0"
    ):
        DeepfakeDetector({"name": "timm_like"}, loss={"guide": 1})
    with pytest.raises(UserError, match=r"loss\.guide=1 can't be combined with mask\.parts=\[\]"):
        _detector(preprocessing={"mask": {"parts": []}})


def test_looking_whether_a_network_can_be_guided_changes_nothing_of_it():
    torch.manual_seed(0)
    before, state = _net("test_resnet", {}).state_dict(), torch.get_rng_state()
    module = _detector()
    assert torch.equal(torch.get_rng_state(), state)
    assert module.net.training
    assert all(torch.equal(module.net.state_dict()[name], value) for name, value in before.items())
