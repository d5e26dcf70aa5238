"""One matrix moves image and landmarks alike."""

import cv2
import numpy as np
import pytest

from addnet.errors import UserError
from addnet.faces import Geometry, Jitter, map_landmarks, warp_image
from addnet.faces.geometry import LEFT_EYE, MIRRORED, RIGHT_EYE, TEMPLATE, plausible, roll_degrees

JITTERS = [
    Jitter(),
    Jitter(flip=True),
    Jitter(angle=20, scale=0.9, shift=(0.05, -0.08)),
    Jitter(angle=-15, scale=1.1, flip=True),
]


@pytest.mark.parametrize("crop", ["image", "face"])
def test_the_line_between_the_eyes_becomes_level(portrait, crop):
    image, landmarks = portrait
    turn = np.array(cv2.getRotationMatrix2D((100, 100), 17, 1.0))
    landmarks = (landmarks @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    assert abs(roll_degrees(landmarks)) > 3
    matrix = Geometry(size=128, crop=crop).matrix(image.shape, landmarks)
    assert abs(roll_degrees(map_landmarks(landmarks, matrix))) < 1e-3


@pytest.mark.parametrize("jitter", JITTERS)
@pytest.mark.parametrize("size", [64, 150, 299])
def test_a_mark_in_the_image_goes_where_its_point_goes(portrait, jitter, size):
    image, landmarks = portrait
    geometry = Geometry(size=size, crop="face")
    matrix = geometry.matrix(image.shape, landmarks, jitter)
    expected = map_landmarks(landmarks, matrix)
    for number in (30, 36, 45, 51):
        marked = np.zeros_like(image)
        cv2.circle(marked, tuple(int(v) for v in landmarks[number].round()), 5, (255, 255, 255), -1)
        weights = warp_image(marked, matrix, size)[..., 0].astype(float)
        rows, columns = np.indices(weights.shape)
        centre = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
        source = landmarks[number].round() @ matrix[:, :2].T + matrix[:, 2]
        assert np.abs(centre - source).max() < 0.35
        target = expected[MIRRORED[number] if jitter.flip else number]
        assert np.linalg.norm(target - source) < 1.5 * np.sqrt(abs(np.linalg.det(matrix[:, :2])))


def test_mirrored_landmarks_are_renumbered(portrait):
    image, landmarks = portrait
    matrix = Geometry(size=128).matrix(image.shape, landmarks, Jitter(flip=True))
    mirrored = map_landmarks(landmarks, matrix)
    assert mirrored[36:42, 0].mean() < mirrored[42:48, 0].mean()
    assert mirrored[0, 0] < mirrored[16, 0]
    assert (MIRRORED[MIRRORED] == np.arange(68)).all()


def test_shrinking_does_not_alias():
    image = np.zeros((512, 512, 3), dtype=np.uint8)
    image[:, ::2] = 255  # the finest grating there is: nothing of it may survive as a coarse one
    matrix = Geometry(size=100).matrix(image.shape, None)
    naive = cv2.warpAffine(image, matrix, (100, 100))
    assert warp_image(image, matrix, 100)[5:-5, 5:-5].std() < naive[5:-5, 5:-5].std() / 5


def test_an_image_that_is_not_square_keeps_its_proportions():
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    cv2.circle(image, (100, 50), 30, (255, 255, 255), -1)
    warped = warp_image(image, Geometry(size=100).matrix(image.shape, None), 100) > 128
    disc = warped[30:70, :, 0]  # above and below the image is mirrored in
    assert abs(np.ptp(np.flatnonzero(disc[20])) - np.ptp(np.flatnonzero(disc[:, 50]))) <= 1


def test_upside_down_landmarks_are_not_plausible(portrait):
    image, landmarks = portrait
    assert plausible(landmarks, image.shape)
    assert not plausible((199 - landmarks).astype(np.float32), image.shape)


@pytest.mark.parametrize("align", [True, False])
def test_a_template_brings_five_landmarks_to_their_places(align):
    landmarks = np.full((68, 2), 0.5)
    landmarks[LEFT_EYE], landmarks[RIGHT_EYE], landmarks[[30, 48, 54]] = TEMPLATE[0], TEMPLATE[1], TEMPLATE[2:]
    turn = cv2.getRotationMatrix2D((0, 0), 25 if align else 0, 80.0)
    placed = (landmarks @ turn[:, :2].T + (300, 200)).astype(np.float32)
    matrix = Geometry(size=128, align=align, crop="template", margin=1.3).matrix((600, 600, 3), placed)
    five = map_landmarks(placed, matrix)[[30, 48, 54]]
    assert np.abs(five - ((TEMPLATE[2:] - 0.5) / 1.3 * 128 + 63.5)).max() < 1e-2
    assert abs(roll_degrees(map_landmarks(placed, matrix))) < 1e-2


def test_a_template_that_nothing_fits_is_nearest_in_the_mean(portrait):
    image, landmarks = portrait
    matrix = Geometry(size=100, crop="template").matrix(image.shape, landmarks)
    pick = [
        landmarks[LEFT_EYE].mean(axis=0),
        landmarks[RIGHT_EYE].mean(axis=0),
        landmarks[30],
        landmarks[48],
        landmarks[54],
    ]
    found = np.stack(pick) @ matrix[:, :2].T + matrix[:, 2]
    wanted = (TEMPLATE - 0.5) / 1.3 * 100 + 49.5
    error = np.square(found - wanted).sum()
    assert error < 5 * 4**2
    for step in ((1, 0.5, 0), (1, -0.5, 0), (1, 0, 0.5), (1, 0, -0.5), (1.01, 0, 0), (0.99, 0, 0)):
        assert np.square((found - 49.5) * step[0] + 49.5 + step[1:] - wanted).sum() > error


def test_unknown_crops_name_the_known_ones():
    with pytest.raises(UserError, match="image, face"):
        Geometry(crop="head")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("away", [0, 60, 5_000])
def test_what_lies_outside_is_mirrored_in(seed, away):
    random = np.random.default_rng(seed)
    height, width = random.integers(60, 400, 2)
    image = cv2.GaussianBlur(random.integers(0, 256, (height, width, 3), dtype=np.uint8), (5, 5), 1.5)
    jitter = Jitter(
        random.uniform(-40, 40), random.uniform(0.8, 1.2), tuple(random.uniform(-0.2, 0.2, 2)), bool(seed % 2)
    )
    matrix = Geometry(size=max(height, width)).matrix(image.shape, None, jitter)
    matrix[:, 2] += away
    size = int(random.integers(40, 300))
    out = np.zeros((size, size, 3), dtype=np.uint8)
    warped = warp_image(image, matrix, size, out=out)
    assert warped is out
    plain = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    assert np.abs(plain.astype(int) - warped).max() <= 1  # OpenCV rounds differently with one border and another
    assert warped.std() > 3
