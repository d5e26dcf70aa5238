"""Start weights come from where the user says, completely or not at all; errors name the way out."""

import pickle
import urllib.error

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from addnet.errors import UserError
from addnet.models import create_model, load_backbone_weights


class Stranger:
    """A class that a weight file must not be able to bring along."""


@pytest.fixture(scope="module")
def source():
    """timm's network with its 1000 classes, every counter and statistic of its own."""
    net = timm.create_model("legacy_xception")
    state = {
        key: torch.randn_like(value) if value.is_floating_point() else value + 7
        for key, value in net.state_dict().items()
    }
    net.load_state_dict(state)
    return net


@pytest.fixture(scope="module")
def target():
    return timm.create_model("legacy_xception", num_classes=0)


@pytest.fixture
def load(target, tmp_path):
    """Saves a state, loads it into the emptied target, and returns the target's state."""

    def run(state, name="weights.pth"):
        with torch.no_grad():
            for value in target.state_dict().values():
                value.zero_()
        (save_file if name.endswith("safetensors") else torch.save)(state, tmp_path / name)
        load_backbone_weights(target, tmp_path / name)
        return target.state_dict()

    return run


def assert_loaded(state, source):
    expected = {key: value for key, value in source.state_dict().items() if not key.startswith("fc.")}
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


# ---- files that fit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_timm_files_load_without_their_classifier(load, source, name):
    assert_loaded(load(source.state_dict(), name), source)


@pytest.mark.parametrize(
    ("prefix", "nested"),
    [
        *(("module.", False), ("model.", True), ("net.", True), ("module.net._orig_mod.", False)),
        *(("encoder.", False), ("backbone.model.", False), ("module.backbone.", True), ("a.strange.place.", False)),
    ],
)
def test_wrappers_prefixes_are_taken_off(load, source, prefix, nested):
    state = {prefix + key: value for key, value in source.state_dict().items()}
    assert_loaded(load({"state_dict": state, "epoch": 3} if nested else state), source)


def test_the_original_names_and_flat_pointwise_weights_load(load, source):
    state = {key.replace("fc.", "last_linear."): value for key, value in source.state_dict().items()}
    state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    flat = {key: value[:, :, 0, 0] if "pointwise" in key else value for key, value in state.items()}
    loaded = load(flat)
    assert all(torch.equal(loaded[key], value) for key, value in state.items() if "last_linear" not in key)
    assert loaded["bn1.num_batches_tracked"] == 0


@pytest.mark.parametrize("name", ["addnet", "bandpass"])
def test_this_package_s_own_networks_load_across_variants(load, source, name, tmp_path):
    net = create_model(name, combine="mix", num_classes=5)
    load_backbone_weights(net.backbone, saved(source, tmp_path))
    assert_loaded(load({f"net.{key}": value for key, value in net.state_dict().items()}), source)


def saved(net, folder):
    torch.save(net.state_dict(), folder / "source.pth")
    return folder / "source.pth"


@torch.no_grad()
def test_a_wider_stem_answers_equal_inputs_as_before(source, tmp_path):
    net = create_model("bandpass", mode="concat", weights=str(saved(source, tmp_path)))
    image = torch.randn(1, 3, 32, 32)
    both = net.backbone.conv1(torch.cat([image, image], dim=1))
    torch.testing.assert_close(both, source.conv1(image), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(net.backbone.conv1.weight[:, :3] * 2, source.conv1.weight)
    own = tmp_path / "own.pth"
    torch.save(net.state_dict(), own)
    again = create_model("bandpass", mode="concat", weights=own)
    assert torch.equal(again.backbone.conv1.weight, net.backbone.conv1.weight)


@pytest.mark.parametrize("entry", ["model", "net", "model_state_dict", "state_dict", "my_own_name"])
def test_training_scripts_entries_are_opened(load, source, entry):
    file = {entry: source.state_dict(), "optimizer": {"state": {}, "param_groups": []}, "epoch": 3}
    assert_loaded(load(file), source)
    assert_loaded(load({"outer": file, "step": 3} if entry == "state_dict" else file | {"loss": torch.ones(1)}), source)


def test_what_is_not_part_of_the_backbone_is_left_out_and_named(load, source, caplog):
    caplog.set_level("INFO")
    others = {"adjust_channel.0.weight": torch.ones(2), "adjust_channel.1.bias": torch.ones(2), "last_linear.1.bias": 0}
    state = {f"backbone.{key}": value for key, value in (source.state_dict() | others).items()}
    assert_loaded(load(state | {"classifier.weight": torch.ones(2), "epoch": 3}), source)
    assert "skipped, as not part of the backbone: backbone.fc (2), backbone.adjust_channel (2), " in caplog.text
    assert "backbone.last_linear (1), classifier (1), epoch" in caplog.text


def test_half_precision_files_load(load, source):
    state = load({key: value.half() for key, value in source.state_dict().items()})
    assert state["conv1.weight"].dtype == torch.float32
    torch.testing.assert_close(state["conv1.weight"], source.state_dict()["conv1.weight"].half().float())


# ---- files that do not -------------------------------------------------------------------------------------


def test_keys_that_do_not_fit_are_named_and_nothing_is_changed(load, source, target):
    state = dict(source.state_dict())
    del state["block3.skip.weight"], state["bn4.bias"]
    state |= {"conv2.weight": torch.ones(64, 32, 5, 5), "bn1.weight": "text", "bn2.weight": torch.ones(64).char()}
    with pytest.raises(UserError) as caught:
        load(state)
    text = str(caught.value)
    assert "3 of 274 entries missing: bn1.weight, block3.skip.weight, bn4.bias;" in text
    assert "2 of 274 entries of another shape: conv2.weight (64, 32, 5, 5) float32 instead of (64, 32, 3, 3)" in text
    assert "bn2.weight (64,) int8 instead of (64,) float32" in text
    assert not any(value.any() for value in target.state_dict().values())


def test_an_answer_names_ten_keys_of_a_kind_and_counts_the_rest(load, source):
    with pytest.raises(
        UserError, match=r"234 of 274 entries missing: conv1\.weight, .* and 224 more; the file"
    ) as caught:
        load({f"stage.{number}.weight": torch.ones(2) for number in range(300)})
    assert "the file holds 300: stage.0.weight, " in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_another_network_s_file_is_refused(load):
    with pytest.raises(UserError, match=r"conv1\.weight.*the file holds 1: layer\.weight"):
        load({"layer.weight": torch.ones(2)})


def test_two_networks_in_a_file_are_not_chosen_between(load, source):
    state = source.state_dict()
    twice = {f"{name}.{key}": value for name in ("student", "teacher") for key, value in state.items()}
    with pytest.raises(UserError, match=r"contains this network 2 times \(student\., teacher\.\)"):
        load(twice)
    with pytest.raises(UserError, match=r"several sets of weights \(generator, discriminator\)"):
        load({"generator": state, "discriminator": state})


@pytest.mark.parametrize("state", [[torch.ones(2)], {"epoch": 3}, {}, {"state_dict": {}}, torch.ones(3)])
def test_files_without_weights_are_refused(load, state):
    with pytest.raises(UserError, match="holds no weights"):
        load(state)


def test_a_missing_file_is_named(target, tmp_path):
    for path in (tmp_path / "none.pth", tmp_path, "~/no/such/file.safetensors"):
        with pytest.raises(UserError, match="no such file"):
            load_backbone_weights(target, path)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"\n<html>", b"hello", bytes(range(256)) * 9, None])
def test_damaged_files_are_named_as_such(target, tmp_path, name, content):
    path = tmp_path / name
    state = {"a": torch.ones(999)}
    (save_file if name.endswith("safetensors") else torch.save)(state, path)
    path.write_bytes(path.read_bytes()[:1500] if content is None else content)
    with pytest.raises(UserError, match=rf"{name} is damaged"):
        load_backbone_weights(target, path)


def test_a_pointer_of_git_lfs_is_told_as_such(target, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(UserError, match=r"Git LFS pointer.*git lfs pull"):
        load_backbone_weights(target, path)


@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_want_to_run_code_are_refused_in_words(target, tmp_path, zipped):
    path = tmp_path / "weights.pth"
    state = {"state_dict": {}, "config": Stranger()}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="Python code"):
        load_backbone_weights(target, path)
    path.write_bytes(pickle.dumps(Stranger(), protocol=2))
    with pytest.raises(UserError, match="weights"):
        load_backbone_weights(target, path)


# ---- ImageNet ----------------------------------------------------------------------------------------------


@pytest.fixture
def timm_answers(monkeypatch):
    """Lets timm's pretrained download give a network or raise an error, without network."""
    create = timm.create_model

    def install(answer):
        def create_model(name, pretrained=False, **options):
            if not pretrained:
                return create(name, **options)
            if isinstance(answer, nn.Module):
                return answer
            raise answer

        monkeypatch.setattr(timm, "create_model", create_model)

    return install


def test_pretrained_takes_what_timm_gives(timm_answers, source):
    timm_answers(source)
    net = create_model("addnet", pretrained=True)
    assert_loaded(net.backbone.state_dict(), source)


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("Name or service not known"),
        TimeoutError("timed out"),
        ConnectionResetError("reset by peer"),
        RuntimeError("invalid hash value"),
    ],
)
def test_without_network_both_ways_out_are_named(timm_answers, error):
    timm_answers(error)
    with pytest.raises(UserError) as caught:
        create_model("addnet", pretrained=True)
    for named in (str(error), "model.weights=PATH", "model.pretrained=false"):
        assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_local_file_wins_over_pretrained(timm_answers, source, tmp_path):
    timm_answers(TimeoutError("must not be asked"))
    net = create_model("bandpass", pretrained=True, weights=str(saved(source, tmp_path)))
    assert_loaded(net.backbone.state_dict(), source)
