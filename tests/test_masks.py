"""Attention masks lie in [0, 1], weigh organs over skin over background, and are never silent."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from addnet.config import load_group
from addnet.errors import UserError
from addnet.faces import AttentionMask, Geometry, Jitter, map_landmarks, warp_image

PRESETS = ["default", "paper", "face_only", "organs_only", "ones"]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [64, 150, 299])
def test_presets_lie_between_zero_and_one(portrait, preset, size):
    landmarks = portrait[1] * (size / 200)
    mask = AttentionMask(**load_group("mask", preset)).draw(landmarks, size)
    assert mask.shape == (size, size)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() == 1


def test_organs_weigh_more_than_skin_and_skin_more_than_background(portrait):
    mask = AttentionMask().draw(portrait[1], 200)
    nose, cheek = portrait[1][33], (portrait[1][2] + portrait[1][31]) / 2
    at_nose, at_cheek = (mask[tuple(point.round().astype(int)[::-1])] for point in (nose - [0, 5], cheek))
    assert at_nose > 0.85
    assert 0.35 < at_cheek < 0.6
    assert mask[1, 1] == 0


def test_separate_eyes_leave_the_bridge_darker(portrait):
    between = portrait[1][36:48].mean(axis=0).round().astype(int)[::-1]
    joint, separate = (
        AttentionMask(eyes=eyes, parts=("organs",)).draw(portrait[1], 200) for eyes in ("joint", "separate")
    )
    assert separate[tuple(between)] < joint[tuple(between)] - 0.1


def test_masks_look_alike_at_every_size(portrait):
    small, large = (AttentionMask().draw(portrait[1] * factor, 200 * factor) for factor in (1, 2))
    assert np.abs(small - large[::2, ::2]).max() < 0.1
    assert np.abs(small - large[::2, ::2]).mean() < 0.01


@pytest.mark.parametrize("jitter", [Jitter(flip=True), Jitter(angle=12), Jitter(scale=0.8, shift=(0.1, 0.0))])
def test_the_mask_of_moved_landmarks_is_the_moved_mask(portrait, jitter):
    image, landmarks = portrait
    matrix = Geometry(size=200).matrix(image.shape, landmarks, jitter)
    drawn = AttentionMask().draw(map_landmarks(landmarks, matrix), 200)
    stacked = np.repeat((AttentionMask().draw(landmarks, 200) * 255).astype(np.uint8)[..., None], 3, axis=2)
    warped = warp_image(stacked, matrix, 200)[..., 0] / 255
    assert np.abs(drawn - warped)[20:-20, 20:-20].mean() < 0.02


def test_landmarks_outside_of_a_tight_crop_are_cut_off(portrait):
    landmarks = (portrait[1] - 60) * 2.5
    mask = AttentionMask().draw(landmarks.astype(np.float32), 200)
    assert (mask > 0.3).mean() > 0.5
    assert AttentionMask().draw(landmarks + 10_000, 200).min() == 1


def test_no_face_gives_ones():
    assert AttentionMask().draw(None, 32).min() == 1
    grey = np.full((120, 120, 3), 128, dtype=np.uint8)
    image, mask, landmarks = AttentionMask()(grey)
    assert landmarks is None
    assert mask.min() == 1
    assert (image == grey).all()


def test_it_works_alone_on_an_image(portrait):
    image, mask, landmarks = AttentionMask()(portrait[0])
    assert image.shape == (200, 200, 3)
    assert mask.shape == (200, 200)
    left, right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    assert abs(left[1] - right[1]) < 1e-3
    nose = landmarks[33].round().astype(int)
    assert mask[nose[1] - 3, nose[0]] > 0.8


def test_settings_rebuild_the_same_mask():
    mask = AttentionMask(parts=["organs"], eyes="separate", organ_blur=0.02)
    assert AttentionMask(**mask.settings()) == mask


@pytest.mark.parametrize(
    "wrong", [{"parts": ["hair"]}, {"parts": "face"}, {"eyes": "both"}, {"face_blur": -1}, {"organ_blur": 3}]
)
def test_wrong_settings_name_the_right_ones(wrong):
    with pytest.raises(UserError, match=r"face, organs|joint, separate|\[0, 0.5\]"):
        AttentionMask(**wrong)


def _hulls(landmarks, size, unit, dtype):
    canvas = np.zeros((size, size), dtype=dtype)
    for value, part in ((1, landmarks), (2, landmarks[36:48]), (2, landmarks[27:36]), (2, landmarks[48:68])):
        hull = cv2.convexHull(np.round(part * 16).astype(np.int32))
        cv2.fillConvexPoly(canvas, hull, value * unit, lineType=cv2.LINE_8, shift=4)
    return canvas


@pytest.mark.parametrize("size", [150, 299, 512])
@pytest.mark.parametrize("shift", [0, -0.3, 0.25])
def test_wide_blurs_on_a_smaller_canvas_are_those_of_the_full_one(portrait, size, shift):
    landmarks = (portrait[1] * (size / 200) + shift * size).astype(np.float32)
    canvas, sigma = _hulls(landmarks, size, 1, np.float64), 0.033 * size
    exact = cv2.GaussianBlur(canvas, (2 * int(6 * sigma) + 1,) * 2, sigma, borderType=cv2.BORDER_REFLECT)
    assert np.abs(AttentionMask().draw(landmarks, size) - exact / exact.max()).max() < 0.006


@pytest.mark.parametrize("size", [150, 299, 512])
def test_single_precision_is_as_good_as_double_on_the_same_canvas(portrait, size):
    shift = np.random.default_rng().uniform(-0.2, 0.2)
    landmarks = (portrait[1] * (size / 200) + shift * size).astype(np.float32)
    side = AttentionMask().side(size)
    around = 2 * (round(size / side) // 2) + 1
    canvas = cv2.blur(_hulls(landmarks, size, 100, np.uint8), (around, around), borderType=cv2.BORDER_REFLECT)
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    variance = (0.033 * size) ** 2 - (around**2 - 1) / 12 - ((size / side) ** 2 - 1) / 6
    sigma = np.sqrt(variance) * side / size
    radius = int(np.ceil(3 * sigma))
    small = ndimage.gaussian_filter(small, sigma, radius=radius, mode="reflect")
    exact = torch.nn.functional.interpolate(torch.tensor(small)[None, None], (size, size), mode="bilinear")[0, 0]
    exact = (exact / exact.max()).numpy()
    assert np.linalg.norm(AttentionMask().draw(landmarks, size) - exact) < 1e-5 * np.linalg.norm(exact)
