"""Whatever lies in a folder of pictures is converted or refused with a reason."""

import numpy as np
import pytest
from PIL import Image

from addnet.errors import UserError
from addnet.faces import check_picture, read_picture

COLOUR = (200, 120, 40)


def _grey_gradient():
    return np.tile(np.linspace(0, 255, 40, dtype=np.uint8), (30, 1))


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp"])
def test_formats_give_rgb(tmp_path, suffix):
    file = tmp_path / f"picture.{suffix}"
    Image.new("RGB", (40, 30), COLOUR).save(file, quality=95)
    picture = check_picture(file)
    assert picture.shape == (30, 40, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture.reshape(-1, 3).mean(axis=0) - COLOUR).max() < 6


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16", "1"])
def test_modes_are_converted(tmp_path, mode):
    file = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    grey = Image.fromarray(_grey_gradient())
    image = Image.fromarray(_grey_gradient().astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image.save(file, **({"quality": 95} if mode == "CMYK" else {}))
    picture = check_picture(file)
    assert picture.shape == (30, 40, 3)
    tolerance = 255 if mode == "1" else 8  # dithered
    assert np.abs(picture[..., 0].astype(int) - _grey_gradient()).max() <= tolerance


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 30))
    image.paste((255, 255, 255), (0, 0, 20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    image.save(tmp_path / "turned.jpg", exif=exif)
    picture = check_picture(tmp_path / "turned.jpg")
    assert picture.shape == (40, 30, 3)
    assert picture[:15].mean() > 240
    assert picture[25:].mean() < 15


def _truncated(file):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("a.jpg", _truncated, "damaged"),
        ("a.png", _truncated, "damaged"),
        ("a.jpg", lambda file: file.write_bytes(b""), "0 bytes"),
        ("a.jpg", lambda file: file.write_text("no picture at all"), "not a picture"),
        ("a.png", lambda file: Image.new("RGB", (1, 1)).save(file), "1×1"),
        ("a.png", lambda file: Image.new("1", (20_000, 20_000)).save(file), "megapixels"),
    ],
)
def test_unusable_files_are_refused_with_a_reason(tmp_path, name, spoil, reason):
    file = tmp_path / name
    spoil(file)
    with pytest.raises(UserError, match=reason):
        check_picture(file)


def test_a_long_thin_picture_is_fine(tmp_path):
    Image.new("RGB", (20_000, 40)).save(tmp_path / "long.png")
    assert check_picture(tmp_path / "long.png").shape == (40, 20_000, 3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.jpg"):
        read_picture(tmp_path / "nothing.jpg")
