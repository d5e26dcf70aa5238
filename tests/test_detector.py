"""The LightningModule learns, keeps plain values only, and runs no code that a checkpoint brings along."""

import pickle

import pytest
import torch

from addnet.checkpoints.file import check_fits, read_checkpoint
from addnet.config import load_group
from addnet.errors import UserError
from addnet.models import create_model
from addnet.training import DeepfakeDetector
from addnet.training.module import OPTIMIZER, SCHEDULER
from addnet.training.optim import build_optimizer, build_schedulers, parameter_groups

PLAIN = {"name": "addnet", "placement": "full", "pretrained": False}
SETTINGS = {"name": "adam", "lr": 1e-3, "weight_decay": 1e-2, "sigma_lr": 0.5}


@pytest.fixture(scope="module")
def detector():
    return DeepfakeDetector(PLAIN, loss={"label_smoothing": 0.1})


@pytest.fixture(scope="module")
def bandpass():
    return create_model("bandpass")


def test_rows_that_do_not_count_do_not_touch_the_loss(detector):
    logits = torch.randn(6, 2, requires_grad=True)
    labels, valid = torch.tensor([0, 1, 1, 0, 1, 0]), torch.tensor([True, False, True, True, False, True])
    loss = detector.loss(logits, labels, valid)
    expected = torch.nn.functional.cross_entropy(logits[valid], labels[valid], label_smoothing=0.1)
    assert torch.allclose(loss, expected)
    loss.backward()
    assert (logits.grad[~valid] == 0).all()


def test_a_batch_in_which_no_row_counts_changes_nothing(detector):
    logits = torch.randn(6, 2, requires_grad=True)
    loss = detector.loss(logits, torch.ones(6, dtype=torch.long), torch.zeros(6, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_default_rates_are_those_of_the_config():
    assert load_group("optimizer", "adam") == OPTIMIZER
    assert load_group("scheduler", "none") == SCHEDULER


def test_class_weights_reach_the_loss(detector):
    logits, labels, valid = torch.randn(5, 2), torch.tensor([0, 0, 0, 0, 1]), torch.ones(5, dtype=torch.bool)
    detector.class_weights = weights = torch.tensor([0.1, 4.0])
    weighted = detector.loss(logits, labels, valid)
    detector.class_weights = None
    expected = torch.nn.functional.cross_entropy(logits, labels, weight=weights, label_smoothing=0.1)
    assert torch.allclose(weighted, expected)
    assert not torch.allclose(weighted, detector.loss(logits, labels, valid))


def test_class_weights_travel_in_checkpoints(detector, tmp_path):
    detector.class_weights = torch.tensor([0.5, 2.0])
    written = {"hyper_parameters": dict(detector.hparams)}
    detector.on_save_checkpoint(written)
    detector.class_weights = None
    detector.on_load_checkpoint(written)  # for a test of the checkpoint alone
    assert detector.class_weights.tolist() == [0.5, 2.0]
    written["addnet"].pop("class_weights")  # an earlier checkpoint
    detector.on_load_checkpoint(written)
    assert detector.class_weights is None


def test_sigmas_have_their_own_rate_and_no_decay(bandpass):
    weights, sigmas = build_optimizer(bandpass, SETTINGS).param_groups
    assert (weights["lr"], weights["weight_decay"]) == (1e-3, 1e-2)
    assert (sigmas["lr"], sigmas["weight_decay"]) == (0.5, 0.0)
    assert len(sigmas["params"]) == 2
    every = sum(len(group["params"]) for group in (weights, sigmas))
    assert every == len(list(bandpass.parameters()))


def test_frozen_sigmas_are_left_alone():
    groups = parameter_groups(create_model("bandpass", learnable_sigmas=False), weight_decay=0, sigma_lr=1)
    assert [group["name"] for group in groups] == ["weights"]


@pytest.mark.parametrize(
    ("settings", "start", "peak", "end"),
    [
        ({"name": "onecycle", "warmup": 0.3}, 0.05, 1.0, 0.01),
        ({"name": "cosine", "warmup_epochs": 1.0, "min_lr_factor": 0.01}, 0.1, 1.0, 0.05),
    ],
)
def test_schedules_rise_and_fall_and_keep_the_ratio_of_rates(bandpass, settings, start, peak, end):
    optimizer = build_optimizer(bandpass, SETTINGS)
    (schedule,) = build_schedulers(optimizer, settings, total_steps=100, steps_per_epoch=20)
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if len(rates) < 100:
            schedule["scheduler"].step()
    weights = [rate / 1e-3 for rate, _ in rates]
    assert weights[0] <= start
    assert max(weights) == pytest.approx(peak, abs=0.02)
    assert weights[-1] <= end
    assert all(sigma / weight == pytest.approx(500, rel=1e-3) for weight, sigma in rates)


@pytest.mark.parametrize(
    ("settings", "valid"),
    [({"name": "adams", "lr": 1}, "adamw"), ({"name": "adam", "lr": 1, "moment": 2}, "moment")],
)
def test_wrong_optimisers_are_answered(bandpass, settings, valid):
    with pytest.raises(UserError, match=valid):
        build_optimizer(bandpass, settings)


def test_an_unknown_schedule_names_the_known_ones(bandpass):
    with pytest.raises(UserError, match="none, cosine, onecycle, plateau"):
        build_schedulers(build_optimizer(bandpass, SETTINGS), {"name": "step"}, total_steps=9, steps_per_epoch=3)


def test_one_batch_can_be_learnt_by_heart():
    torch.manual_seed(0)
    net = create_model("bandpass", drop_rate=0.0, kernel_size=7)
    image, mask, labels = (
        torch.rand(6, 3, 64, 64) * 2 - 1,
        torch.rand(6, 1, 64, 64),
        torch.tensor([0, 1, 0, 1, 0, 1]),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(net(image, mask), labels)
        if loss < 0.05:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"the loss is still {loss:.3f} after 40 steps")


class Evil:
    def __reduce__(self):
        return (print, ("code from a checkpoint",))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda file: None, "no such file"),
        (lambda file: file.mkdir(), "is a folder, not a checkpoint"),
        (lambda file: file.write_bytes(b"PK\x03\x04 and nothing"), "damaged"),
        (lambda file: file.write_bytes(b""), "damaged"),
        (lambda file: torch.save({"state_dict": {}, "addnet": Evil()}, file), "more than tensors"),
        (lambda file: file.write_bytes(pickle.dumps(Evil())), "more than tensors"),
        (lambda file: torch.save({"state_dict": {}}, file), "not a checkpoint of this program"),
        (lambda file: torch.save({"state_dict": {}, "addnet": {"format": 99}}, file), "format 99"),
    ],
)
def test_damaged_and_hostile_checkpoints_are_refused_in_words(tmp_path, capsys, write, message):
    write(tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=message):
        read_checkpoint(tmp_path / "a.ckpt")
    assert "code from a checkpoint" not in capsys.readouterr().out


def test_another_architecture_is_told_by_its_keys(detector):
    mixed = DeepfakeDetector(PLAIN | {"combine": "mix", "num_classes": 3})
    with pytest.raises(UserError) as error:
        check_fits(mixed.state_dict(), detector.state_dict(), path="a.ckpt")
    assert "net.add_blocks.block1.amount" in str(error.value)
    assert "net.head.weight (2, 2048) instead of (3, 2048)" in str(error.value)
