"""A cosine head sees where features point and not how long they are."""

import pytest
import torch
from torch.nn import functional

from addnet.errors import UserError
from addnet.models import create_model
from addnet.models.heads import build_head


def test_a_cosine_head_is_class_weights_on_normalised_features():
    head, features = build_head("cosine", 8, 3), torch.randn(5, 8)
    (name, weight), *others = head.named_parameters()
    assert (name, weight.shape, others) == ("weight", (3, 8), [])
    expected = functional.cosine_similarity(features[:, None], weight[None], dim=2) * weight.norm(dim=1)
    torch.testing.assert_close(head(features), expected)
    torch.testing.assert_close(head(features * 1e4), expected)


def test_a_cosine_head_may_have_a_bias():
    head, features = build_head("cosine_bias", 8, 3), torch.randn(5, 8)
    assert head.bias.shape == (3,)
    torch.testing.assert_close(head(features) - head.bias, functional.normalize(features) @ head.weight.T)


@pytest.mark.parametrize("value", [0.0, 1e30])
def test_features_without_a_direction_and_huge_ones_give_finite_gradients(value):
    features = torch.full((2, 8), value, requires_grad=True)
    build_head("cosine", 8, 2)(features).sum().backward()
    assert features.grad.isfinite().all()


def test_features_are_normalised_in_float32_under_mixed_precision():
    head, features = build_head("cosine", 512, 2), 300 * torch.randn(4, 512)  # squares beyond float16
    expected = head(features)
    with torch.autocast("cpu", torch.float16):
        torch.testing.assert_close(head(features.half()).float(), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["addnet", "bandpass"])
def test_networks_take_it_and_keep_it_for_other_classes(name):
    net = create_model(name, head="cosine").eval()
    assert [key for key in net.state_dict() if key.startswith("head")] == ["head.weight"]
    image, mask = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    features = net.forward_head(net.forward_features(image, mask), pre_logits=True)
    torch.testing.assert_close(net(image, mask), functional.normalize(features) @ net.head.weight.T)
    net.reset_classifier(5)
    assert net(image, mask).shape == (2, 5)
    assert "head.bias" not in net.state_dict()
    net.reset_classifier(0)
    assert torch.equal(net(image, mask), features)


def test_an_unknown_head_is_answered_with_those_that_there_are():
    with pytest.raises(UserError, match=r"model.head='cosin' is unknown; .*linear, cosine.* Did you mean 'cosine'"):
        create_model("addnet", head="cosin")
