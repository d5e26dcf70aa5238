"""`attend` weights what attention reads of each patch by its mask, and nothing else."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from addnet.errors import UserError
from addnet.models import ADDNet
from addnet.models.attend import FLOOR, AttendBlock

READERS = ("test_vit", "vit_tiny_patch16_dinov3_qkvb", "vit_tiny_r_s16_p8_224")


def reading(name="test_vit", **options):
    torch.manual_seed(0)
    return ADDNet(name, combine="attend", image_size=64, drop_rate=0.0, **options).eval()


def batch():
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(2, 1, 64, 64)
    mask[..., 32:] = 0.25
    return torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1, mask


@torch.no_grad()
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("pool", ["adaptive", "chain"])
def test_ones_change_nothing_and_masks_do(name, pool):
    net, (image, mask) = reading(name, pool=pool), batch()
    for block in net.backbone.blocks:  # small start weights would hide what is read
        for weight in block.attn.parameters():
            weight.mul_(4)
    own = net.backbone.forward_features(net._rescaled(image))
    torch.testing.assert_close(net.forward_features(image, torch.ones_like(mask)), own, atol=1e-5, rtol=0)
    assert not torch.allclose(net.forward_features(image, mask), own, atol=1e-4)


@torch.no_grad()
def test_the_softmax_is_weighted_by_the_mask_of_each_patch():
    net, (image, mask) = reading(placement="input"), batch()
    attention, seen = net.backbone.blocks[0].attn, {}
    attention.register_forward_hook(lambda _, given, out: seen.update(given=given[0], out=out))
    net(image, mask)
    count, tokens, _ = seen["given"].shape
    shape = (count, tokens, 3, attention.num_heads, attention.head_dim)
    queries, keys, values = attention.qkv(seen["given"]).reshape(shape).permute(2, 0, 3, 1, 4)
    read = torch.ones(count, 1, 1, tokens)
    read[..., 1:] = nn.functional.adaptive_avg_pool2d(mask, 4).flatten(2)[:, None]
    weights = (queries @ keys.mT * attention.scale).softmax(dim=-1) * read
    expected = (weights / weights.sum(dim=-1, keepdim=True)) @ values
    expected = attention.proj(expected.transpose(1, 2).reshape(count, tokens, -1))
    torch.testing.assert_close(seen["out"], expected, atol=1e-5, rtol=1e-4)


def test_a_mask_of_zeros_is_floored():
    bias = AttendBlock(prefix=1)(torch.ones(1, 5, 8, dtype=torch.bfloat16), torch.zeros(1, 1, 8, 8))
    assert bias.dtype == torch.bfloat16
    assert bias.flatten().tolist() == pytest.approx([0, *[torch.tensor(FLOOR).log().item()] * 4], abs=0.05)


def _note(seen, number, _module, _inputs, given):
    seen[number] = given.get("attn_mask") is not None


@torch.no_grad()
def test_attention_is_masked_from_each_site_to_the_end_of_the_next_stage():
    net, (image, mask) = reading(placement=["blocks.1", "blocks.4"]), batch()
    seen = {}
    for number, block in enumerate(net.backbone.blocks):
        note = partial(_note, seen, number)
        block.attn.register_forward_pre_hook(note, with_kwargs=True)
    net(image, mask)
    assert [number for number, masked in seen.items() if masked] == [2, 5]


@pytest.mark.parametrize("combine", ["attend", "gate"])
def test_gradient_checkpointing_reads_the_same_mask_again(combine):
    torch.manual_seed(0)
    net, given = ADDNet("test_vit", combine=combine, image_size=64, drop_rate=0.0), batch()
    found = []
    for again in (False, True):
        net.set_grad_checkpointing(again)
        net.zero_grad()
        net(*given).square().sum().backward()
        found.append([parameter.grad.clone() for parameter in net.parameters()])
    assert all(torch.equal(once, twice) for once, twice in zip(*found, strict=True))


@torch.no_grad()
def test_copies_read_by_their_own_masks_and_autocast_stays_near():
    net, given = reading(), batch()
    expected = net(*given)
    assert torch.equal(copy.deepcopy(net)(*given), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(net(*given).float(), expected, atol=0.1, rtol=0)
    halved = (value.bfloat16() for value in given)
    assert net.bfloat16()(*halved).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("name", "placement", "said"),
    [
        ("test_resnet", "full", "its stages output maps.*model.combine=multiply"),
        ("swin_tiny_patch4_window7_224", "full", "its stages output maps"),
        ("test_vit_relpos", "full", "its attention accepts no mask in timm"),
        ("test_vit", "blocks.5", "'blocks.5' of test_vit.*choose one of: input, blocks.0"),
    ],
)
def test_what_attention_can_not_read_is_refused_in_words(name, placement, said):
    with torch.device("meta"), pytest.raises(UserError, match=said):
        ADDNet(name, combine="attend", placement=placement, options={"global_pool": "avg"})
