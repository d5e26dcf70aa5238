"""Order is a function of seed and epoch; ranks share it without doubling or losing anything."""

from collections import Counter

import pytest

from addnet.data.orders import RealsAndBlends, ShuffledOrder
from addnet.data.samplers import EvalSampler, TrainSampler

LABELS = [0] * 37 + [1] * 11


def _epoch(epoch, balance=False, **arguments):
    sampler = TrainSampler(ShuffledOrder(LABELS, balance=balance), seed=4, **arguments)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_epoch_has_its_own_order_and_every_sample_once():
    first, again, second = _epoch(0), _epoch(0), _epoch(1)
    assert first == again
    assert [a.record for a in first] != [a.record for a in second]
    assert sorted(a.record for a in second) == list(range(48))
    assert {a.epoch for a in second} == {1}


@pytest.mark.parametrize("world_size", [2, 3, 5])
@pytest.mark.parametrize("balance", [False, True])
def test_ranks_share_the_order_of_a_single_process(world_size, balance):
    alone = [a.record for a in _epoch(2, balance=balance)]
    shares = [_epoch(2, balance=balance, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    together = [address.record for step in zip(*shares, strict=True) for address in step]
    assert together[: len(alone)] == alone
    assert len(together) - len(alone) < world_size


def test_balancing_draws_both_classes_alike_and_repeats_with_new_addresses():
    addresses = _epoch(0, balance=True)
    assert Counter(LABELS[a.record] for a in addresses) == {0: 24, 1: 24}
    assert len(set(addresses)) == len(addresses)
    assert max(a.repeat for a in addresses) == 2


@pytest.mark.parametrize("length", [1, 60, 61])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_counts_every_record_exactly_once(length, world_size):
    shares = [list(EvalSampler(length, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    counted = [a.record for share in shares for a in share if a.valid]
    assert sorted(counted) == list(range(length))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_real_image_and_its_blend_stay_in_one_batch_on_one_rank(world_size):
    order = RealsAndBlends(LABELS, [number % 5 > 0 for number in range(48)])
    reals = [number for number in range(37) if number % 5]

    def epoch(rank, start=(3, 0)):
        sampler = TrainSampler(order, seed=4, rank=rank, world_size=world_size, start=start)
        return sampler, list(sampler)

    shares = []
    for rank in range(world_size):
        sampler, share = epoch(rank)
        assert len(sampler) == len(share)
        assert epoch(rank, start=(3, 6))[1] == share[6:]
        pairs = list(zip(share[::2], share[1::2], strict=True))
        assert all(one._replace(blend="fake") == other and one.blend == "real" for one, other in pairs)
        shares.append([one.record for one, _ in pairs])
    together = [record for step in zip(*shares, strict=True) for record in step]
    assert sorted(together[: len(reals)]) == reals
    assert len(together) - len(reals) < world_size
