"""Explanations depend on what the network learned, at every block, and on the organs of the face."""

import numpy as np
import pytest
import torch

from addnet.errors import UserError
from addnet.inference import Detector, explain, grad_cam
from addnet.inference.sheet import explanation_plot, heated, stretched
from addnet.models import create_model
from checkpoints import checkpoint

BLOCKS = ("stem", *(f"block{number}" for number in range(1, 13)), "tail")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    path = checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", name="bandpass", kernel_size=7)
    return Detector.from_checkpoint(path)


@pytest.fixture(scope="module")
def seen(detector, portrait):
    return detector.preprocessing.of_image(portrait[0])[0]


@pytest.mark.parametrize("block", BLOCKS)
def test_there_is_a_map_at_every_block(detector, seen, block):
    image, mask = detector.tensors([seen, seen])
    heat = grad_cam(detector.net, image, mask, block=block)
    assert heat.shape == (2, 64, 64)
    assert torch.equal(heat[0], heat[1])
    assert heat.min() >= 0
    assert heat.max() <= 1


def test_what_speaks_for_real_is_another_map_than_what_speaks_for_fake(detector, seen):
    image, mask = detector.tensors([seen])
    fake, real = (grad_cam(detector.net, image, mask, block="block3", of=of) for of in ("fake", "real"))
    assert not torch.allclose(fake, real)
    assert fake.max() + real.max() > 0


def test_another_network_looks_elsewhere(detector, seen):
    """The sanity check of Adebayo et al. 2018: a map that random weights leave as it is would be an edge detector."""
    image, mask = detector.tensors([seen])
    torch.manual_seed(1)
    other = create_model("bandpass", kernel_size=7).train()
    with torch.no_grad():
        for _ in range(8):
            other(torch.randn(4, 3, 64, 64), torch.rand(4, 1, 64, 64))
    other.eval().requires_grad_(False)
    for block in ("block2", "block3"):
        maps = [_both(net, image, mask, block) for net in (detector.net, other)]
        assert all(each.std() > 0 for each in maps)
        assert abs(torch.corrcoef(torch.stack(maps))[0, 1]) < 0.9


def _both(net, image, mask, block):
    """What speaks for fake and what for real; one of the two may be empty."""
    return torch.cat([grad_cam(net, image, mask, block=block, of=of).flatten() for of in ("fake", "real")])


def _hooks(net):
    return [len(module._forward_hooks) for module in net.modules()]


def test_maps_leave_the_network_as_it_was(detector, seen):
    before, hooks = detector.scores([seen]), _hooks(detector.net)
    image, mask = detector.tensors([seen])
    grad_cam(detector.net, image, mask, block=detector.net.description.explained)
    assert np.array_equal(detector.scores([seen]), before)
    assert _hooks(detector.net) == hooks
    assert all(parameter.grad is None for parameter in detector.net.parameters())


def test_a_map_is_that_of_the_definition(detector, seen):
    image, mask = detector.tensors([seen])
    kept = []
    layer = detector.net.add_blocks["block3"]
    handle = layer.register_forward_hook(lambda _m, _i, output: kept.append(output) or output.clone())
    logits = detector.net(image.clone().requires_grad_(), mask)
    handle.remove()
    (gradient,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), kept[0])
    expected = (kept[0] * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1).relu()[0].detach()
    small = torch.nn.functional.interpolate(expected[None, None], (64, 64), mode="bilinear")[0, 0]
    assert torch.allclose(grad_cam(detector.net, image, mask, block="block3")[0], small / small.max(), atol=1e-5)


def test_an_explanation_is_drawn_on_a_sheet(detector, seen):
    explanation = explain(detector, seen)
    assert set(explanation.without) == {"eyes", "nose", "mouth"}
    assert explanation.band.shape == (64, 64, 3)
    assert explanation.score == pytest.approx(detector.scores([seen])[0], abs=1e-3)
    figure = explanation_plot(explanation, title="a $file$.jpg")
    assert len(figure.axes) == 6
    figure.savefig("/dev/null", format="png")
    assert heated(seen.image, explanation.heat).shape == (64, 64, 3)
    assert stretched(np.zeros((4, 4, 3), np.float32)).mean() == 0.5


def test_without_a_face_no_organ_is_named(detector):
    grey = np.full((120, 120, 3), 128, dtype=np.uint8)
    (seen,) = detector.preprocessing.of_image(grey, without_face=True)
    explanation = explain(detector, seen)
    assert not explanation.without
    assert len(explanation_plot(explanation, title="").axes) == 6


def test_unknown_places_name_the_known_ones(detector, seen):
    image, mask = detector.tensors([seen])
    with pytest.raises(UserError, match="block12"):
        grad_cam(detector.net, image, mask, block="block13")
