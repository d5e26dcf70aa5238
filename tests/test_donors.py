"""Another person's face in a blend: whose, where it lies, and in which colours."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from addnet.data.donors import Donors
from addnet.data.hook import SamplePosition
from addnet.errors import UserError
from addnet.faces import SelfBlend
from addnet.faces.donors import Donor, coloured_like, poses, worn

TURNED = np.array([[0.8, -0.3, 60.0], [0.3, 0.8, -10.0]])


def _moved(landmarks, matrix):
    return (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _hull(landmarks, shape):
    inside = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(landmarks).astype(np.int32)), 1)
    return inside.astype(bool)


def _differs(one, other, where):
    return np.abs(one.astype(int) - other)[where].mean()


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_face_that_was_turned_and_enlarged_comes_back_where_it_was(portrait, scale):
    image, landmarks = portrait
    matrix = TURNED * scale
    size = tuple(int(scale * side) for side in image.shape[1::-1])
    donor = Donor(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101), _moved(landmarks, matrix))
    rows, columns = slice(20, image.shape[0] - 10), slice(5, image.shape[1] - 15)
    back = worn(donor, landmarks, rows, columns, follow=1.0)
    inside = _hull(landmarks, image.shape)[rows, columns]
    assert back.shape == image[rows, columns].shape
    assert _differs(back, image[rows, columns], inside) < 6
    assert _differs(back, image[rows, columns][:, ::-1], inside) > 12


def test_landmarks_are_followed_as_far_as_asked(portrait):
    image, landmarks = portrait
    unit = float(np.ptp(landmarks, axis=0).max())
    wide = landmarks.copy()
    wide[48:] += (landmarks[48:] - landmarks[48:].mean(axis=0)) * 0.5  # a mouth half as wide again
    whole = slice(0, image.shape[0]), slice(0, image.shape[1])
    left, followed = (worn(Donor(image, landmarks), wide, *whole, follow=follow) for follow in (0.0, 1.0))
    corner = wide[48]
    assert np.linalg.norm(corner - landmarks[48]) > 0.03 * unit

    def seen_at(face, place):  # what the donor has at the corner of the mouth, looked for around a place
        patch = cv2.getRectSubPix(image, (9, 9), tuple(map(float, landmarks[48])))
        return _differs(cv2.getRectSubPix(face, (9, 9), tuple(map(float, place))), patch, ...)

    assert seen_at(followed, corner) < seen_at(left, corner)


def test_poses_know_nothing_of_place_size_and_roll(portrait):
    _, landmarks = portrait
    turned = _moved(landmarks, TURNED * 1.7)
    other = landmarks * (0.8, 1.0)
    one, same, narrow = poses(np.stack([landmarks, turned, other]))
    assert np.allclose(one, same, atol=1e-5)
    assert not np.allclose(one, narrow, atol=1e-3)


def test_colours_become_those_of_the_target_by_the_amount():
    rng = np.random.default_rng(0)
    source = rng.normal((60, 90, 120), 12, (40, 40, 3)).clip(0, 255).astype(np.uint8)
    target = rng.normal((150, 120, 90), 18, (40, 40, 3)).clip(0, 255).astype(np.uint8)
    mask = np.ones((40, 40), np.float32)
    assert np.abs(coloured_like(source, target, mask, 0.0).astype(int) - source).max() <= 1
    alike = coloured_like(source, target, mask, 1.0)
    assert np.allclose(alike.mean(axis=(0, 1)), target.mean(axis=(0, 1)), atol=1)
    assert np.allclose(alike.std(axis=(0, 1)), target.std(axis=(0, 1)), atol=1)
    half = coloured_like(source, target, mask, 0.5).mean(axis=(0, 1))
    assert np.allclose(half, (source.mean(axis=(0, 1)) + target.mean(axis=(0, 1))) / 2, atol=1)


def test_a_blend_with_a_donor_shows_them_within_the_mask_alone(portrait):
    image, landmarks = portrait
    donor = Donor(np.ascontiguousarray(image[:, ::-1]), (landmarks * (-1, 1) + (image.shape[1] - 1, 0)).astype("f4"))
    recipe = SelfBlend(saved_p=0.0)
    for number in range(8):
        alone, swapped = (recipe(image, landmarks, (0, number), given) for given in (None, donor))
        assert np.array_equal(alone.mask, swapped.mask)
        assert np.array_equal(alone.real, swapped.real)
        assert not np.array_equal(alone.fake, swapped.fake)
        assert np.array_equal(swapped.fake[swapped.mask == 0], swapped.real[swapped.mask == 0])


@pytest.fixture
def people(portrait):
    _, landmarks = portrait
    rng = np.random.default_rng(0)
    # groups of two: the second of each looks the same way as the first
    leaning = [landmarks * (1 + 0.05 * number, 1.0) for number in range(6)]
    found = [(one + rng.normal(0, 0.01, one.shape)).astype(np.float32) for one in leaning for _ in range(2)]
    return SimpleNamespace(landmarks=found, groups=np.repeat(np.arange(6), 2))


def _donors(people, share=1.0, read=lambda row: np.full((2, 2, 3), row, np.uint8)):
    rows = np.arange(len(people.landmarks))
    return Donors(share, rows=rows, landmarks=people.landmarks, groups=people.groups, read=read)


def test_a_donor_is_of_another_group_and_of_the_nearest_pose(people):
    donors = _donors(people)
    for row, landmarks in enumerate(people.landmarks):
        given = [int(donors(SamplePosition(row, (0, epoch, row)), landmarks).image[0, 0, 0]) for epoch in range(5)]
        groups = people.groups[given]
        assert (abs(groups - people.groups[row]) == 1).all()


def test_the_address_alone_decides_who_it_is_and_how_often(people):
    addresses = [SamplePosition(3, (0, epoch, 17)) for epoch in range(200)]
    one, other = ([donors(at, people.landmarks[3]) for at in addresses] for donors in (_donors(people, 0.3),) * 2)
    assert [a is None for a in one] == [b is None for b in other]
    assert all(np.array_equal(a.landmarks, b.landmarks) for a, b in zip(one, other, strict=True) if a)
    assert 0.2 < np.mean([a is not None for a in one]) < 0.4


def test_who_is_alone_or_can_not_be_read_is_blended_with_themselves(people):
    def broken(row):
        raise UserError("gone")

    at = SamplePosition(0, (0, 0, 0))
    assert _donors(people, read=broken)(at, people.landmarks[0]) is None
    alone = SimpleNamespace(landmarks=people.landmarks, groups=np.zeros(len(people.landmarks), int))
    assert _donors(alone)(at, people.landmarks[0]) is None
