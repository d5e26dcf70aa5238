"""Near-identical images are found exactly, without comparing all with all, and a crowd of them is bounded."""

import cv2
import numpy as np
import pytest

from addnet.data.audit.likeness import SAME_DETAIL, detail
from addnet.data.audit.near import near_pairs, nearest
from addnet.data.audit.signals import perceptual_hash
from addnet.errors import UserError
from planted import image


def _hashes(count, seed):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def _disturbed(hashes, seed):
    """Each hash with 0 to 9 of its bits changed."""
    rng = np.random.default_rng(seed)
    flips = [sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 10), replace=False)) for _ in hashes]
    return hashes ^ np.array(flips, dtype=np.uint64)


def _near(left, right, distance, **options):
    groups = {"left_groups": np.arange(len(left)), "right_groups": len(left) + np.arange(len(right))}
    return near_pairs(left, right, distance, **{**groups, **options})


def _brute_force(left, right, distance):
    return {(int(i), int(j)) for i, j in np.argwhere(np.bitwise_count(left[:, None] ^ right[None]) <= distance)}


@pytest.mark.parametrize("distance", range(8))
def test_exactly_the_pairs_that_brute_force_finds(distance):
    left = _hashes(400, 0)
    right = np.concatenate([_disturbed(left[:250], 1), _hashes(200, 2)])
    found = _near(left, right, distance)
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert pairs == _brute_force(left, right, distance)
    assert len(pairs) > 10
    assert found.complete
    assert list(found.distances) == sorted(np.bitwise_count(left[found.left] ^ right[found.right]))


def test_within_one_set_each_pair_comes_once():
    hashes = np.concatenate([_hashes(200, 0), _disturbed(_hashes(200, 0), 1)])
    groups = np.arange(len(hashes))
    found = near_pairs(hashes, hashes, 4, left_groups=groups, right_groups=groups, within=True)
    expected = {(i, j) for i, j in _brute_force(hashes, hashes, 4) if i < j}
    assert {tuple(sorted(pair)) for pair in zip(found.left.tolist(), found.right.tolist(), strict=True)} == expected
    assert len(found.left) == len(expected)


def test_images_of_one_group_are_no_pair():
    hashes = _hashes(50, 0)
    groups = np.arange(50)
    assert not len(_near(hashes, hashes, 4, left_groups=groups, right_groups=groups).left)
    moved = np.where(groups == 7, 99, groups)
    found = _near(hashes, hashes, 4, left_groups=groups, right_groups=moved)
    assert (found.left.tolist(), found.right.tolist()) == ([7], [7])


def test_a_hash_of_many_groups_is_a_pair_of_different_ones():
    groups = {"left_groups": np.array([1, 2]), "right_groups": np.array([1])}
    found = near_pairs(np.zeros(2, np.uint64), np.zeros(1, np.uint64), 4, **groups)
    assert (found.left.tolist(), found.right.tolist()) == ([1], [0])


def test_equal_images_are_counted_not_multiplied():
    found = _near(np.full(30_000, 7, np.uint64), np.full(20_000, 7, np.uint64), 4)
    assert len(found.left) == 1
    assert found.images == (30_000, 20_000)


def test_a_crowd_is_cut_and_said():
    crowd = _disturbed(np.full(300, 7, np.uint64), 3)
    alone = _hashes(20, 4)
    left, right = np.concatenate([crowd, alone]), np.concatenate([crowd, alone])
    found = _near(left, right, 4, max_comparisons=2000)
    assert not found.complete
    assert {(300 + i, 300 + i) for i in range(20)} <= set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert not _near(left, right, 4, max_pairs=50).complete


def test_nothing_is_near_nothing():
    none = np.empty(0, dtype=np.uint64)
    assert not len(_near(none, _hashes(5, 0), 4).left)
    assert not len(_near(_hashes(5, 0), none, 4).left)


def test_a_distance_at_which_strangers_are_alike_is_refused():
    with pytest.raises(UserError, match="between 0 and 7"):
        _near(_hashes(2, 0), _hashes(2, 1), 8)


def test_the_nearest_of_another_group():
    left, right = np.array([0], np.uint64), np.array([0, 1, 7], np.uint64)
    assert nearest(left, right, left_groups=np.array([5]), right_groups=np.array([5, 6, 7])).tolist() == [1]


@pytest.mark.parametrize("change", ["quality", "smaller", "brighter", "blurred"])
def test_an_image_saved_again_keeps_its_hash_and_detail(change):
    for seed in range(10):
        pixels = image(seed, side=160)
        again = {
            "quality": cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR),
            "smaller": cv2.resize(pixels, (90, 90), interpolation=cv2.INTER_AREA),
            "brighter": cv2.convertScaleAbs(pixels, alpha=0.9, beta=20),
            "blurred": cv2.GaussianBlur(pixels, (0, 0), 1),
        }[change]
        assert (_hash(pixels) ^ _hash(again)).bit_count() <= 4
        assert float((detail(pixels) * detail(again)).sum()) > SAME_DETAIL


def test_other_images_have_other_hashes_and_details():
    hashes = np.array([_hash(image(seed)) for seed in range(60)], dtype=np.uint64)
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None])
    assert bits[np.triu_indices(60, 1)].min() > 8
    assert float((detail(image(0)) * detail(image(1))).sum()) < 0.5


def test_a_flat_image_says_so():
    assert perceptual_hash(np.full((50, 50), 90, dtype=np.uint8))[1]
    assert not perceptual_hash(cv2.cvtColor(image(0), cv2.COLOR_RGB2GRAY))[1]


def _hash(pixels):
    return perceptual_hash(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[0]
