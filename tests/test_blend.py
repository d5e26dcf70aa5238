"""Self-blends: what differs between a real image and its blend, and that nothing else does."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hydra.utils import instantiate

from addnet.config import compose
from addnet.errors import UserError
from addnet.faces import SelfBlend
from addnet.faces.blend_masks import HULLS, hulls_of, placed
from addnet.faces.tint import Tint, TintRanges

PLAIN = TintRanges(channels_p=0, hue_p=0, light_p=0, sharpness_p=0, jpeg_p=0)


def _blends(portrait, count=20, **options):
    image, landmarks = portrait
    blend = SelfBlend(**options)
    return [blend(image, landmarks, (0, number)) for number in range(count)]


def test_the_preset_sbi_is_what_the_class_does_by_itself_and_light_changes_less(portrait):
    sbi, light = (instantiate(compose([f"blend={name}"]).blend) for name in ("sbi", "light"))
    assert sbi == SelfBlend()
    assert hash(sbi) != hash(light)
    differences = [
        np.mean(
            [
                np.abs(a.fake.astype(int) - a.real).sum() / a.mask.sum()
                for a in (recipe(*portrait, (n,)) for n in range(40))
            ]
        )
        for recipe in (sbi, light)
    ]
    assert differences[1] < 0.7 * differences[0]


@pytest.mark.parametrize("options", [{}, {"poisson": 1.0}, {"hulls": ["organs"]}, {"strengths": [0.25]}])
def test_nothing_outside_of_the_mask_differs_and_something_inside_does(portrait, options):
    for blend in _blends(portrait, saved_p=0.0, **options):
        differs = (blend.real != blend.fake).any(axis=-1)
        assert not differs[blend.mask == 0].any()
        assert differs.mean() > 0.0005
        assert blend.mask.dtype == np.float32
        assert blend.mask.shape == blend.real.shape[:2]


def test_an_image_that_is_saved_again_differs_in_the_blocks_of_the_mask_alone(portrait):
    plain, both = (_blends(portrait, hulls=["organs"], saved_p=p, saved=(60, 60)) for p in (0.0, 1.0))
    for before, after in zip(plain, both, strict=True):
        assert (before.mask == after.mask).all()
        assert (before.real != after.real).any()
        near = cv2.dilate(np.asarray(after.mask > 0, np.uint8), np.ones((37, 37), np.uint8)) > 0
        assert not (after.real != after.fake).any(axis=-1)[~near].any()


def test_half_of_the_real_images_are_changed_and_the_others_are_left_as_they_are(portrait):
    image = portrait[0].copy()
    changed = [bool((blend.real != image).any()) for blend in _blends(portrait, 200, saved_p=0.0)]
    assert 0.4 < np.mean(changed) < 0.6
    assert (portrait[0] == image).all()
    assert not any((blend.real != image).any() for blend in _blends(portrait, target=0.0, saved_p=0.0))


def test_the_address_alone_decides(portrait):
    one, same, other = (SelfBlend()(*portrait, address) for address in ((1, 2, 3), (1, 2, 3), (1, 2, 4)))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert (one.fake != other.fake).any()


@pytest.mark.parametrize("strengths", [(0.25,), (0.5, 1.0)])
def test_the_mask_reaches_one_of_the_strengths(portrait, strengths):
    largest = {round(float(blend.mask.max()), 3) for blend in _blends(portrait, strengths=strengths)}
    assert largest == set(strengths)


@pytest.mark.parametrize("hull", HULLS)
def test_no_hull_vanishes_or_covers_much_more_than_its_landmarks(portrait, hull):
    _, landmarks = portrait
    for number in range(30):
        blend = SelfBlend(hulls=[hull])(*portrait, (number,))
        random = np.random.default_rng(number)
        outlines = [cv2.convexHull(part.astype(np.float32)) for part in hulls_of("all", landmarks, random)]
        face = cv2.contourArea(outlines[0])
        covered = float(blend.mask.sum() / blend.mask.max())
        smallest = 0.01 if hull == "organs" else 0.02 if hull == "some" else 0.1
        assert smallest * face < covered < 1.6 * face


def test_a_small_hull_keeps_as_much_of_itself_as_a_large_one(portrait):
    _, landmarks = portrait
    shares = {}
    for name, part in {"face": landmarks, "eyes": landmarks[36:48]}.items():
        area = cv2.contourArea(cv2.convexHull(part.astype(np.float32)))
        how = {
            "unit": float(np.ptp(landmarks, axis=0).max()),
            "elastic": 0.03,
            "erosion": (0.03, 0.03),
            "softness": (0.03, 0.03),
        }
        shares[name] = np.mean(
            [placed([part], (200, 200), np.random.default_rng(n), **how).mask.sum() / area for n in range(40)]
        )
    assert 0.6 < shares["eyes"] / shares["face"] < 1.2


def test_a_flat_image_differs_in_nothing_but_colour():
    landmarks = _face(80)
    for number in range(10):
        real, fake, mask = SelfBlend(tint=PLAIN, saved_p=0.0)(np.full((80, 80, 3), 90, np.uint8), landmarks, (number,))
        assert (real == 90).all()
        assert (fake == real).all()
        assert mask.max() > 0
        tinted = SelfBlend(tint=replace(PLAIN, light_p=1.0))(np.full((80, 80, 3), 90, np.uint8), landmarks, (number,))
        assert len(np.unique(tinted.real)) == 1


def test_grey_images_stay_grey_but_for_the_channels(portrait):
    grey = np.repeat(cv2.cvtColor(portrait[0], cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)
    blend = SelfBlend(tint=TintRanges(channels_p=0.0, hue=30.0, saturation=0.8, jpeg_p=0.0), saved_p=0.0)
    for number in range(20):
        for image in blend(grey, portrait[1], (number,))[:2]:
            assert np.ptp(image.astype(int), axis=-1).max() <= 1


def test_tight_crops_and_tiny_images_are_blended(portrait):
    image, landmarks = portrait
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    left, top = np.rint(low + 0.2 * (high - low)).astype(int)
    right, bottom = np.rint(high - 0.2 * (high - low)).astype(int)
    crop = np.ascontiguousarray(image[top:bottom, left:right])
    small = cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA)
    for seen, found in (
        (crop, landmarks - (left, top)),
        (small, landmarks * (16 / 200)),
        (small[:3], landmarks * (16 / 200)),
    ):
        for number in range(20):
            try:
                real, fake, mask = SelfBlend()(seen, found, (number,))
            except UserError:
                assert len(seen) == 3
                continue
            assert real.shape == fake.shape == seen.shape
            assert 0 < mask.max() <= 1


@pytest.mark.parametrize("away", [(500, 0), (0, -500), (-90, 500)])
def test_a_face_outside_of_the_image_is_refused(portrait, away):
    with pytest.raises(UserError, match="outside the image"):
        SelfBlend()(portrait[0], portrait[1] + np.float32(away), (0,))


def test_a_face_of_a_few_pixels_is_refused(portrait):
    with pytest.raises(UserError, match="face of 4 pixels"):
        SelfBlend()(portrait[0], portrait[1] * np.float32(4 / np.ptp(portrait[1], axis=0).max()), (0,))


def test_the_source_moves_no_farther_than_it_may(portrait):
    """The centre of a dot in the middle of the face, laid over itself without any other change."""
    image, landmarks = portrait
    side, middle = float(np.ptp(landmarks, axis=0).max()), landmarks.mean(axis=0)
    dotted = cv2.circle(np.zeros_like(image), np.rint(middle).astype(int).tolist(), 3, (255, 255, 255), -1)
    blend = SelfBlend(tint=PLAIN, saved_p=0.0, hulls=["all"], strengths=[1.0], scale=(1.0, 1.0), shift=(0.1, 0.02))
    moved = []
    for number in range(40):
        where = np.argwhere(blend(dotted, landmarks, (number,)).fake[..., 0] > 127)
        moved.append((where.mean(axis=0)[::-1] - np.rint(middle)) / side)
    right, down = np.abs(moved).max(axis=0)
    assert 0.05 < right < 0.11
    assert 0.005 < down < 0.03


def test_poisson_blending_takes_detail_and_leaves_colour(portrait):
    how = {
        "target": 0.0,
        "saved_p": 0.0,
        "hulls": ["all"],
        "strengths": [1.0],
        "scale": (1.0, 1.0),
        "shift": (0.0, 0.0),
    }
    tint = replace(PLAIN, channels=60.0, channels_p=1.0)
    offsets = [
        np.mean(
            [
                abs(b.fake.astype(int) - b.real)[b.mask > 0.9].mean()
                for b in _blends(portrait, 6, poisson=p, tint=tint, **how)
            ]
        )
        for p in (0.0, 1.0)
    ]
    assert offsets[1] < 0.3 * offsets[0]


@pytest.mark.parametrize(
    ("tint", "worst"),
    [
        (Tint(channels=(20, 0, -20)), 20),
        (Tint(brightness=0.1), 26),
        (Tint(contrast=-0.5), 64),
        (Tint(shrink=4.0), 255),
        (Tint(sharpen=0.5), 128),
        (Tint(jpeg=95), 60),
        (Tint(hue=5.0, saturation=0.1), 60),
    ],
)
def test_each_tint_changes_an_image_within_its_bounds_and_leaves_the_original(portrait, tint, worst):
    before = portrait[0].copy()
    after = tint(portrait[0])
    assert (portrait[0] == before).all()
    assert 0 < np.abs(after.astype(int) - before).max() <= worst
    assert after.shape == before.shape


def test_sharpness_is_lost_by_the_size_of_the_face_not_of_the_image():
    ranges = TintRanges(shrink=[32], channels_p=0, hue_p=0, light_p=0, jpeg_p=0)
    drawn = [[ranges.draw(np.random.default_rng(seed), unit) for seed in range(20)] for unit in (64, 400, 20)]
    small, large, tiny = drawn
    shrunk = [tint.shrink > 1 for tint in small]
    assert 0 < sum(shrunk) < 20
    assert {tint.shrink for tint in small} == {1.0, 2.0}
    assert {tint.shrink for tint in large} == {1.0, 12.5}
    assert {tint.shrink for tint in tiny} == {1.0}
    assert {tint.sigma for tint, less in zip(large, shrunk, strict=True) if not less} == {2.0}


def test_colours_turn_about_grey():
    red = np.array([[[200, 50, 50]]], np.uint8)
    assert np.array_equal(Tint(hue=120.0)(red), [[[50, 200, 50]]])
    assert np.array_equal(Tint(saturation=-1.0)(red), [[[100, 100, 100]]])
    assert Tint()(red) is red


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hulls": []}, "at least one"),
        ({"hulls": "all"}, "use a list"),
        ({"hulls": ["al"]}, "Did you mean 'all'"),
        ({"strengths": [0.0]}, r"numbers in \[0.01, 1\]"),
        ({"strengths": [1.2]}, r"numbers in \[0.01, 1\]"),
        ({"target": 2}, "a probability"),
        ({"poisson": "yes"}, "a probability"),
        ({"donors": 1.5}, "blend.donors=1.5 is not valid; use a probability"),
        ({"follow": [0.5, 2]}, "blend.follow"),
        ({"matched": [1, 0]}, "blend.matched"),
        ({"shift": [0.1]}, "two shares"),
        ({"shift": [0.1, 0.9]}, "shares of the face"),
        ({"scale": [1.1, 0.9]}, "is not a range"),
        ({"scale": [0.0, 1.0]}, "is not a range"),
        ({"elastic": float("nan")}, "blend.elastic=nan"),
        ({"erosion": 0.1}, "blend.erosion=0.1 is not a range"),
        ({"softness": [0, 2]}, "blend.softness"),
        ({"tint": None}, "blend.tint"),
        ({"saved": [0, 100]}, "blend.saved"),
        ({"saved_p": -0.5}, "a probability"),
    ],
)
def test_options_that_are_wrong_are_refused_in_words(options, told):
    with pytest.raises(UserError, match=told):
        SelfBlend(**options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"jpeg_p": 1.1}, "blend.tint.jpeg_p=1.1 is not valid; use a probability"),
        ({"channels": -1}, "grey levels"),
        ({"hue": 400}, "degrees"),
        ({"contrast": 2}, "a share"),
        ({"jpeg": [0, 50]}, "blend.tint.jpeg"),
        ({"sharpen": [0.5, 0.2]}, "blend.tint.sharpen"),
        ({"shrink": []}, "list of sides"),
        ({"shrink": [4]}, "pixels of a face"),
    ],
)
def test_tints_that_are_wrong_are_refused_in_words(options, told):
    with pytest.raises(UserError, match=told):
        TintRanges(**options)


def _face(side):
    """(68, 2) landmarks of a face in the middle of an image."""
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    return (side / 2 + side / 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32)
