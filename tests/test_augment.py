"""Changes of light are what their names say, to about half a grey level; those of one address are always the same."""

import cv2
import numpy as np
import pytest

from addnet.data.augment import Augment, Photometric

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture
def image():
    """Noise over a gradient, far from black and white."""
    random = np.random.default_rng()
    return (np.linspace(80, 150, 64)[:, None, None] + random.uniform(-20, 20, (64, 64, 3))).astype(np.uint8)


def test_nothing_is_changed_by_default(image):
    assert np.array_equal(Photometric()(image), image)


@pytest.mark.parametrize("factor", [0.7, 1.25])
def test_brightness_contrast_and_saturation(image, factor):
    values = image.astype(float)
    luma = values @ LUMA
    expected = {
        "brightness": values * factor,
        "contrast": luma.mean() + (values - luma.mean()) * factor,
        "saturation": luma[..., None] + (values - luma[..., None]) * factor,
    }
    for name, wanted in expected.items():
        assert np.abs(Photometric(**{name: factor})(image) - wanted).max() <= 0.55, (
            name
        )  # OpenCV mixes colours in fixed point


def test_bright_values_are_cut_off(image):
    assert Photometric(brightness=9.0)(image).min() == 255
    assert Photometric(contrast=0.0)(image).std() == 0


def test_blur_noise_and_jpeg(image):
    values = image.astype(np.float64)
    blurred = cv2.GaussianBlur(values, (9, 9), 2.0)
    assert np.abs(Photometric(blur=2.0)(image) - blurred).max() <= 1
    one, again, other = (Photometric(noise=4.0, noise_seed=seed)(image) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert (one - values).std() == pytest.approx(4, rel=0.1)
    fine, coarse = (np.abs(Photometric(jpeg=quality)(image) - values).mean() for quality in (95, 20))
    assert 0 < fine < coarse
    red = np.zeros((32, 32, 3), np.uint8) + np.array([200, 20, 20], np.uint8)
    assert np.abs(Photometric(jpeg=90)(red) - red.astype(float)).max() < 8  # channels stay where they are


def test_an_address_decides_everything(image):
    augment = Augment(brightness=(0.5, 1.5), saturation=(0.2, 2.0), noise_p=1.0, jpeg_p=0.5, blur_p=0.5)
    changes = [augment.draw((7, epoch, 3, 0))[1](image) for epoch in (0, 1, 0)]
    assert np.array_equal(changes[0], changes[2])
    assert not np.array_equal(changes[0], changes[1])
