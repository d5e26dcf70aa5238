"""What saves memory or time changes neither loss nor gradients nor statistics, and leaves the keys of weights alone."""

import copy
import shutil
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

import tiny
from addnet.checkpoints.file import check_fits
from addnet.errors import UserError
from addnet.models import MODELS, create_model
from addnet.training import DeepfakeDetector
from addnet.training.sync_batchnorm import SyncBatchNorm

pytestmark = pytest.mark.slow

SEED = torch.Generator().manual_seed(0)
IMAGE, MASK = torch.randn(4, 3, 64, 64, generator=SEED), torch.rand(4, 1, 64, 64, generator=SEED)
LABELS = torch.tensor([0, 1, 0, 1])


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)


def _step(net):
    """Loss and numbers kept for the backward pass of one training step, after it."""
    kept = 0

    def pack(tensor):
        nonlocal kept
        kept += tensor.numel()
        return tensor

    torch.manual_seed(0)  # of dropout
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = functional.cross_entropy(net.train()(IMAGE, MASK), LABELS)
    loss.backward()
    return loss.item(), kept


# ---- gradient checkpointing --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("addnet", {"combine": "mix"}), ("bandpass", {"pool": "chain"})])
def test_recomputing_gives_the_same_bit_for_bit_and_keeps_less(name, options):
    plain = create_model(name, **options)
    frugal = copy.deepcopy(plain)
    frugal.set_grad_checkpointing()
    (loss, kept), (same, less) = _step(plain), _step(frugal)
    assert same == loss
    assert less < kept / 10
    for (key, one), other in zip(plain.named_parameters(), frugal.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), key
    for (key, one), other in zip(plain.named_buffers(), frugal.buffers(), strict=True):
        assert torch.equal(one, other), key  # statistics of batch normalisation, counted once
    assert frugal.backbone.bn1.num_batches_tracked == 1
    assert frugal.backbone.bn1.momentum == 0.1


def test_recomputing_gets_on_with_the_batch_normalisation_of_many_gpus():
    net = SyncBatchNorm().apply(create_model("addnet"))  # as sync_batchnorm=true does
    net.set_grad_checkpointing()
    _step(net)
    assert net.backbone.bn1.num_batches_tracked == 1
    assert net.backbone.block12.rep[2].num_batches_tracked == 1


def test_recomputing_can_be_switched_off_and_rests_in_evaluation():
    net = create_model("addnet")
    _, kept = _step(net)
    net.set_grad_checkpointing()
    assert torch.equal(net.eval()(IMAGE, MASK), copy.deepcopy(net).eval()(IMAGE, MASK))
    net.set_grad_checkpointing(False)
    assert _step(net)[1] == kept


def test_recomputing_leaves_a_frozen_backbone_frozen():
    net = create_model("addnet", combine="mix").train()
    net.set_grad_checkpointing()
    net.backbone.eval().requires_grad_(False)
    before = copy.deepcopy(net.backbone.state_dict())
    net(IMAGE, MASK).sum().backward()
    assert all(torch.equal(value, before[key]) for key, value in net.backbone.state_dict().items())
    assert net.add_blocks["block1"].amount.grad.abs() > 0


def test_the_key_reaches_the_network():
    assert DeepfakeDetector({"name": "addnet"}, grad_checkpointing=True).net.grad_checkpointing
    assert not DeepfakeDetector({"name": "addnet"}).net.grad_checkpointing


# ---- compilation -------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch):
    """Remembers what was compiled how; runs it as it is."""
    calls = []
    monkeypatch.setattr(torch, "compile", lambda function, **options: calls.append(options) or function)
    return calls


@pytest.mark.parametrize(("asked", "mode"), [(True, None), ("reduce-overhead", "reduce-overhead")])
def test_the_network_is_compiled_once_and_in_place(compiled, asked, mode):
    module, plain = tiny.detector(compile_net=asked), tiny.detector()
    assert not compiled
    tiny.fit(module, max_epochs=1)
    module.setup("test")
    assert [options["mode"] for options in compiled] == [mode]
    assert list(module.state_dict()) == list(plain.state_dict())
    assert type(module.net) is tiny.TinyNet


def test_it_is_off_by_default(compiled):
    tiny.fit(tiny.detector(), max_epochs=1)
    assert not compiled


@pytest.mark.skipif(not shutil.which("g++"), reason="torch's compiler needs one for C++")
def test_inductor_trains_alike_and_checkpoints_pass_to_and_fro(tmp_path):
    """The real compiler, on a network that it is quick with."""
    weights = {}
    still = {"model": tiny.MODEL | {"drop_rate": 0.0}, "ema_decay": 0.5}
    for compile_net in (False, True):
        module = tiny.detector(compile_net=compile_net, **still)
        trainer = tiny.fit(module, max_epochs=1)
        assert (module.net._compiled_call_impl is not None) is compile_net
        trainer.save_checkpoint(tmp_path / f"{compile_net}.ckpt")
        weights[compile_net] = module.net.state_dict()
    for name, value in weights[False].items():
        torch.testing.assert_close(weights[True][name], value, atol=1e-5, rtol=1e-4)
    eager = DeepfakeDetector.load_from_checkpoint(tmp_path / "True.ckpt", weights_only=True)
    eager.setup("test")
    assert eager.net._compiled_call_impl is None  # the machine that reads it may have no compiler
    check_fits(module.state_dict(), torch.load(tmp_path / "False.ckpt", weights_only=True)["state_dict"], path="")
    module.load_state_dict(torch.load(tmp_path / "False.ckpt", weights_only=True)["state_dict"])


@pytest.mark.parametrize(
    ("options", "named"),
    [({"compile_net": "fast"}, "max-autotune"), ({"compile_net": True, "grad_checkpointing": True}, "use one of them")],
)
def test_what_cannot_be_compiled_is_refused(options, named):
    with pytest.raises(UserError, match=named):
        tiny.detector(**options)


# ---- memory format -----------------------------------------------------------------------------------------


def test_channels_last_changes_the_layout_and_not_the_result():
    made = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        # not training: statistics of four images would make much of the last bits of a sum
        made.append(DeepfakeDetector({"name": "bandpass"}, channels_last=channels_last).eval())
    layouts = []
    for module in made:
        module.net.backbone.block2.register_forward_hook(
            lambda *given: layouts.append(given[2].is_contiguous(memory_format=torch.channels_last))
        )
        functional.cross_entropy(module(IMAGE, MASK), LABELS).backward()
    assert layouts == [False, True]
    assert made[1].net.backbone.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert not made[0].net.backbone.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    for name in ("bandpass.raw_delta", "backbone.conv2.weight", "head.weight"):
        one, other = (module.net.get_parameter(name).grad for module in made)
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3 * float(one.abs().max()))


def test_the_levers_of_the_config_are_those_of_the_detector():
    from addnet.config import compose
    from addnet.train import build_module

    overrides = ["model.pretrained=false", "data.data_dir=x", "grad_checkpointing=true", "ema_decay=0.9"]
    overrides += ["freeze_backbone_epochs=2", "loss=focal", "optimizer.layer_decay=0.7"]
    datamodule = SimpleNamespace(preprocessing=dict)
    hparams = build_module(compose(overrides), datamodule).hparams
    names = ("grad_checkpointing", "ema_decay", "freeze_backbone_epochs", "compile_net")
    assert [hparams[name] for name in names] == [True, 0.9, 2, False]
    assert (hparams["loss"]["name"], hparams["optimizer"]["layer_decay"]) == ("focal", 0.7)
    off = build_module(compose(["model.pretrained=false", "data.data_dir=x"]), datamodule)
    assert [off.hparams[name] for name in names] == [False, None, 0, False]
    assert off._levers == []
    with pytest.raises(UserError, match="use one of them"):
        build_module(compose([*overrides, "loss.average=classes", "data.balance=loss_weight"]), datamodule)
