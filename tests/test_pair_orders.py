"""Pairs stay together, each image comes as often as is promised, and ranks and resumes change nothing."""

from collections import Counter

import numpy as np
import pytest

from addnet.data.orders import RealsAndBlends, ShuffledOrder
from addnet.data.pair_orders import NO_PARTNER, MixedOrder, PairOrder, source_sets
from addnet.data.samplers import TrainSampler
from addnet.index.records import FAKE, REAL, Record, Records


def _records(rows):
    """Rows of (label, group, video, frame)."""
    return Records.of(
        [
            Record(
                path=f"{video}/{label}/{frame}.png",
                label=label,
                split="train",
                video_id=f"set/{('real', 'fake')[label]}/{video}",
                group_id=group,
                dataset="set",
                frame=frame,
            )
            for label, group, video, frame in rows
        ]
    )


def _one_to_one(groups):
    return [(label, f"g{group}", f"v{group}" + "_x" * label, 0) for group in range(groups) for label in (REAL, FAKE)]


# one real with four fakes as in FaceForensics++, two frames each; more reals than fakes; a group of one class each
MANY = [(REAL, "001", "001", frame) for frame in (0, 1)]
MANY += [(FAKE, "001", f"001_{other}", frame) for other in (870, 871, 872, 873) for frame in (0, 1)]
MANY += [(REAL, "b", f"b{number}", 0) for number in range(3)] + [(FAKE, "b", "b_x", 0)]
MANY += [(REAL, "c", "c", 0), (REAL, "c", "c", 1), (FAKE, "d", "d", 0)]
RECORDS = _records(MANY)
LABELS, SETS = RECORDS.labels, source_sets(RECORDS)
FACES = np.array([number % 5 != 2 for number in range(len(MANY))])
ORDERS = {
    "shuffled": ShuffledOrder(LABELS),
    "blends": RealsAndBlends(LABELS, FACES),
    "pairs": PairOrder(LABELS, SETS),
    "pairs, own": PairOrder(LABELS, SETS, same=False),
    "mixed": MixedOrder(LABELS, FACES, share=0.4),
    "mixed pairs": MixedOrder(LABELS, FACES, share=0.4, sets=SETS),
}


def _epoch(order, epoch=0, **how):
    sampler = TrainSampler(order, seed=3, **how)
    sampler.set_epoch(epoch)
    return list(sampler)


def _units(addresses):
    return list(zip(addresses[::2], addresses[1::2], strict=True))


def test_a_set_is_as_fine_as_has_both_classes():
    rows = [(REAL, "g", "001", 0), (REAL, "g", "001", 1), (FAKE, "g", "001_870", 0), (FAKE, "g", "001_870", 7)]
    rows += [(REAL, "g", "870", 0), (FAKE, "g", "900_901", 3), (REAL, "h", "h", 0)]
    sets = source_sets(_records(rows)).tolist()
    assert sets[0] == sets[2]  # the same frame of the same person
    assert sets[1] == sets[3] != sets[0]  # other frames of it
    assert sets[4] == sets[5] not in (sets[0], sets[1])  # what is left of the group
    assert sets[6] == NO_PARTNER


@pytest.mark.parametrize("epoch", [0, 1])
def test_pairs_one_to_one_come_once_and_side_by_side(epoch):
    records = _records(_one_to_one(20))
    order = PairOrder(records.labels, source_sets(records))
    units = _units(_epoch(order, epoch))
    assert sorted(address.record for unit in units for address in unit) == list(range(40))
    for real, fake in units:
        assert (records[real.record].label, records[fake.record].label) == (REAL, FAKE)
        assert records[real.record].group_id == records[fake.record].group_id
        assert (fake.like, fake.repeat) == (real.record, real.repeat)
    assert [unit[0].record for unit in units] != [unit[0].record for unit in _units(_epoch(order, epoch + 1))]


@pytest.mark.parametrize("seed", range(5))
def test_every_fake_comes_once_every_real_at_least_once_and_reals_take_turns(seed):
    sampler = TrainSampler(PairOrder(LABELS, SETS), seed=seed)
    addresses = list(sampler)
    assert len(set(addresses)) == len(addresses)  # what comes again changes otherwise
    counts = Counter(address.record for address in addresses)
    assert set(counts) == set(range(len(MANY)))
    fakes = [counts[row] for row in range(len(MANY)) if LABELS[row] == FAKE]
    assert sum(fakes) - len(fakes) in (0, 1)  # one may fill up an odd number without a partner
    for frame in (0, 1):
        assert counts[frame] in (4, 5)  # four fakes of this frame
    together = {(LABELS[a.record], SETS[a.record] == SETS[b.record]) for a, b in _units(addresses) if b.like >= 0}
    assert together == {(REAL, True)}
    reals, fake_ones = PairOrder(LABELS, SETS).classes()
    filled = len(addresses) - reals - fake_ones
    assert filled in (0, 1)


def test_reals_that_are_left_over_are_others_in_each_epoch():
    order = PairOrder(LABELS, SETS)
    beside = {unit[0].record for epoch in range(12) for unit in _units(_epoch(order, epoch)) if LABELS[unit[1].record]}
    assert {10, 11, 12} <= beside  # the three reals of group b, which has one fake


def test_with_own_draws_a_fake_has_its_own_address():
    assert {address.like for address in _epoch(ORDERS["pairs, own"])} == {-1}


@pytest.mark.parametrize("sets", [None, SETS], ids=["any source", "of one source"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_mixed_has_each_real_once_beside_a_blend_or_a_given_fake(sets, share):
    order = MixedOrder(LABELS, FACES, share=share, sets=sets)
    units = _units(_epoch(order))
    reals = Counter(a.record for unit in units for a in unit if LABELS[a.record] == REAL and a.blend != "fake")
    assert set(reals) == set(np.flatnonzero(LABELS == REAL).tolist())
    blends = [unit for unit in units if unit[0].blend]
    assert len(blends) == order.blends
    for real, fake in blends:
        assert real[:4] == fake[:4]
        assert (real.blend, fake.blend) == ("real", "fake")
        assert FACES[real.record]
    given = [unit for unit in units if not unit[0].blend and LABELS[[a.record for a in unit]].tolist() == [REAL, FAKE]]
    assert len(given) >= order.given
    if sets is None:
        assert order.blends == round(share * (LABELS == REAL).sum())
        assert not any(fake.like >= 0 for _, fake in given)
    else:
        assert sum(SETS[real.record] == SETS[fake.record] != NO_PARTNER for real, fake in given) >= order.given


def test_given_fakes_of_mixed_take_turns_and_change_between_epochs():
    labels = np.array([REAL] * 10 + [FAKE] * 7)
    order = MixedOrder(labels, labels == REAL, share=0.2)
    served = [Counter(a.record for a in _epoch(order, epoch) if labels[a.record]) for epoch in range(2)]
    assert [sum(counts.values()) for counts in served] == [8, 8]
    assert all(set(counts.values()) <= {1, 2} and len(counts) == 7 for counts in served)
    assert served[0] != served[1]


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_order_of_a_single_process(name, world_size):
    order = ORDERS[name]
    alone = _epoch(order, 2)
    shares = [_epoch(order, 2, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    step = order.unit
    together = [
        address
        for place in range(0, len(shares[0]), step)
        for share in shares
        for address in share[place : place + step]
    ]
    assert together[: len(alone)] == alone
    assert len(together) - len(alone) < world_size * step


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_resumed_share_is_the_rest_of_the_whole_one(name, world_size):
    order, batch = ORDERS[name], 2
    for rank in range(world_size):
        how = {"rank": rank, "world_size": world_size}
        whole = _epoch(order, 1, **how)
        for start in range(0, len(whole) + 1, batch):
            assert _epoch(order, 1, start=(1, start), **how) == whole[start:]
        assert _epoch(order, 2, start=(1, batch), **how) == _epoch(order, 2, **how)


@pytest.mark.parametrize("name", ORDERS)
def test_the_classes_that_are_told_are_those_that_come(name):
    order = ORDERS[name]
    came = Counter(
        FAKE if address.blend == "fake" else int(LABELS[address.record]) for address in _epoch(order, world_size=1)
    )
    reals, fakes = order.classes()
    more = (came[REAL] - reals, came[FAKE] - fakes)
    assert sorted(more) in ([0, 0], [0, 1])  # one fills up an odd number


def test_what_is_told_counts_pairs_repeats_and_what_is_alone():
    assert ORDERS["pairs"].told() == (
        "9 pairs of a real and a fake image of one source, 6 repetitions of real images, 5 images without a partner"
    )
    assert ORDERS["mixed"].told() == "3 blends and 4 given fakes, each next to a real image"
    assert "given fakes of its source" in ORDERS["mixed pairs"].told()
