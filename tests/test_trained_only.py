"""A checkpoint of the trained part alone is small, goes on exactly, and is nothing without its start weights."""

import hashlib
import json
from pathlib import Path

import pytest
import timm
import torch

import tiny
from addnet.checkpoints.file import read_checkpoint
from addnet.checkpoints.trained_part import check_resumable, digest
from addnet.errors import UserError
from addnet.inference.export import export_checkpoint
from addnet.inference.loading import load
from addnet.inference.network import network_of
from addnet.models.tuning import still_entries
from addnet.training import DeepfakeDetector
from addnet.training.callbacks import BestCheckpoint, LastCheckpoint
from addnet.training.preflight import check_checkpoints
from exports import DETECTOR
from trainings import differences

pytestmark = pytest.mark.slow

SIDE = 64
PREPROCESSING = {"image_size": SIDE, "align": True, "crop": "image", "margin": 1.3, "mask_of": "own"}
PREPROCESSING |= {"mask": {"parts": ["face"], "eyes": "joint", "face_blur": 0.03, "organ_blur": 0.03}}
PREPROCESSING |= {"detector": DETECTOR, "value_range": [-1.0, 1.0]}


def _weights(folder, backbone, seed=5):
    """A file of start weights."""
    torch.manual_seed(seed)
    file = Path(folder) / f"{backbone}-{seed}.pth"
    torch.save(timm.create_model(backbone, num_classes=0).state_dict(), file)
    return file


def _detector(weights, backbone="test_resnet", tune="norm", **arguments):
    model = tiny.timm_model(backbone, tune, weights=weights and str(weights))
    return tiny.detector(**({"model": model, "preprocessing": PREPROCESSING} | arguments))


def _fit(folder, module, *, alone=True, **arguments):
    best = BestCheckpoint(folder, filename="best", monitor="val/frame/loss", trained_only=alone)
    callbacks = [best, LastCheckpoint(str(folder), trained_only=alone)]
    return tiny.fit(module, callbacks=callbacks, side=SIDE, enable_checkpointing=True, **arguments)


@pytest.fixture(scope="module", params=[("test_resnet", "norm"), ("test_vit", "norm"), ("test_vit", "lora:2")])
def trained(request, tmp_path_factory):
    """Two epochs: folder, start weights, backbone, tune, and the network of the end."""
    folder, (backbone, tune) = tmp_path_factory.mktemp("trained"), request.param
    weights = _weights(folder, backbone)
    module = _detector(weights, backbone, tune, ema_decay=0.5)
    _fit(folder, module)
    return folder, weights, backbone, tune, module.net


def test_it_holds_what_is_trained_and_what_changes(trained):
    folder, weights, *_, net = trained
    for name in ("best", "last"):
        checkpoint = read_checkpoint(folder / f"{name}.ckpt")
        kept = {key.removeprefix("net.") for key in checkpoint["state_dict"]}
        assert kept == net.state_dict().keys() - still_entries(net)
        assert checkpoint["weight_average"]["weights"].keys() == kept
        start = checkpoint["addnet"]["start"]
        assert (start["name"], start["pretrained"]) == (weights.name, False)
        assert start["entries"] == len(net.state_dict()) - len(kept)
        assert str(folder) not in json.dumps(start)
    assert (folder / "best.ckpt").stat().st_size < weights.stat().st_size
    check_resumable(read_checkpoint(folder / "last.ckpt"), "last.ckpt")
    with pytest.raises(UserError, match=r"without the state of the optimiser; resume from last.ckpt"):
        check_resumable(read_checkpoint(folder / "best.ckpt"), "best.ckpt")


def test_the_digest_is_that_of_names_types_shapes_and_numbers():
    one = {"net.backbone.b": torch.tensor([1.0, 2.0]), "net.backbone.a": torch.tensor(3)}
    assert digest(one) == digest(dict(reversed(one.items())))
    for other in ({"net.backbone.b": one["net.backbone.b"]}, one | {"net.backbone.a": torch.tensor(3.0)}):
        assert digest(one) != digest(other)
    told = b"a int64 ()\n\3\0\0\0\0\0\0\0b float32 (2,)\n\0\0\x80\x3f\0\0\0\x40"
    assert digest(one) == hashlib.sha256(told).hexdigest()


def test_with_its_start_weights_it_answers_as_the_network_that_was_trained(trained):
    folder, weights, _, _, net = trained
    images, mask = torch.randn(2, 3, SIDE, SIDE), torch.rand(2, 1, SIDE, SIDE)
    loaded = network_of(read_checkpoint(folder / "last.ckpt"), "last.ckpt", weights=weights)
    loaded.to(memory_format=torch.channels_last)  # as in training
    with torch.no_grad():
        assert torch.equal(loaded(images, mask), net.eval()(images, mask))
    assert not any("lora" in name for name in loaded.state_dict())


def test_a_resumed_run_equals_an_uninterrupted_one(trained, tmp_path):
    folder, weights, backbone, tune, net = trained
    _fit(tmp_path / "half", _detector(weights, backbone, tune, ema_decay=0.5), max_epochs=1)
    module = _detector(weights, backbone, tune, ema_decay=0.5)
    half = tmp_path / "half" / "last.ckpt"
    _fit(tmp_path / "rest", module, ckpt_path=half)
    whole, rest = (torch.load(place / "last.ckpt", weights_only=True) for place in (folder, tmp_path / "rest"))
    for part in ("state_dict", "weight_average", "optimizer_states"):
        assert list(differences(rest[part], whole[part])) == []
    assert whole["addnet"]["start"] == rest["addnet"]["start"]
    assert all(torch.equal(value, module.net.state_dict()[name]) for name, value in net.state_dict().items())


def test_without_them_or_with_others_it_says_what_is_missing(trained, tmp_path):
    folder, weights, backbone, tune, _ = trained
    file, other = folder / "best.ckpt", _weights(tmp_path, backbone, seed=6)
    needs = f"{file} holds the trained part alone and needs the start weights, the file {weights.name}; give the file "
    with pytest.raises(UserError, match=f"{needs}with model.weights=PATH"):
        load(file)
    with pytest.raises(UserError, match=rf"trained from the file {weights.name}, and the file {other.name}, .* sha256"):
        load(file, weights=other)
    with pytest.raises(UserError, match="no such file"):
        load(file, weights=tmp_path / "none.pth")
    with pytest.raises(UserError, match="does not fit"):
        load(file, weights=_weights(tmp_path, "test_convnext"))
    with pytest.raises(UserError, match="holds the trained part alone"):
        DeepfakeDetector.load_from_checkpoint(file, weights_only=True)
    with pytest.raises(UserError, match="sha256"):
        _fit(tmp_path, _detector(other, backbone, tune, ema_decay=0.5), ckpt_path=folder / "last.ckpt")


def test_a_place_that_it_names_is_never_looked_at(trained, tmp_path):
    folder, weights, *_ = trained
    checkpoint = read_checkpoint(folder / "best.ckpt")
    checkpoint["addnet"]["start"]["name"] = str(weights)
    checkpoint["hyper_parameters"]["model"] |= {"weights": str(weights), "pretrained": True}
    torch.save(checkpoint, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="holds the trained part alone"):
        load(tmp_path / "evil.ckpt")


def test_an_export_holds_all_weights_merged(trained, tmp_path):
    folder, weights, backbone, tune, _ = trained
    done = export_checkpoint(folder / "best.ckpt", tmp_path / "hub", format="safetensors", weights=weights)
    assert done.size > 0.95 * weights.stat().st_size
    loaded = load(tmp_path / "hub")
    images, mask = torch.randn(2, 3, SIDE, SIDE), torch.rand(2, 1, SIDE, SIDE)
    best = load(folder / "best.ckpt", weights=weights).net
    with torch.no_grad():
        assert torch.equal(loaded.net(images, mask), best(images, mask))
    assert "tune" not in loaded.model
    again = _detector(tmp_path / "hub" / "model.safetensors", backbone, tune).net.eval()  # where another one starts
    torch.testing.assert_close(again.backbone(images), best.backbone(images))
    with pytest.raises(UserError, match=r"holds the trained part alone; export it"):
        _detector(folder / "best.ckpt", backbone, tune)


@pytest.mark.parametrize(
    ("weights", "tune", "said"),
    [
        (True, "all", "callbacks.last.trained_only=true would leave nothing out, since all weights are trained"),
        (False, "norm", "needs start weights that can be loaded again, and random ones can't"),
    ],
)
def test_what_it_could_not_do_without_is_told_before_training(tmp_path, weights, tune, said):
    module = _detector(_weights(tmp_path, "test_resnet") if weights else None, tune=tune)
    trainer = tiny.pl.Trainer(callbacks=[LastCheckpoint(str(tmp_path), trained_only=True)], logger=False)
    with pytest.raises(UserError, match=said):
        check_checkpoints(module, trainer)


def test_precisions_that_round_weights_are_refused(tmp_path):
    module = _detector(_weights(tmp_path, "test_resnet"))
    last = LastCheckpoint(str(tmp_path), trained_only=True)
    trainer = tiny.pl.Trainer(callbacks=[last], logger=False, accelerator="cpu", precision="bf16-true")
    with pytest.raises(UserError, match=r"trainer.precision=bf16-true rounds them"):
        check_checkpoints(module, trainer)
