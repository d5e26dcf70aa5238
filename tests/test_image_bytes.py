"""An image's bytes are checked and decoded like its file, whose content is read once."""

import numpy as np
import pytest
from PIL import Image

from addnet.errors import UserError
from addnet.faces import check_bytes, check_image, decode_image, read_image


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(file)
    return file


def test_bytes_give_what_the_file_gives(file):
    data = file.read_bytes()
    assert np.array_equal(check_bytes(data), read_image(file))
    assert np.array_equal(decode_image(memoryview(data)), read_image(file))


@pytest.mark.parametrize(
    ("cut", "reason"),
    [(slice(0), r"0 bytes"), (slice(100, None), "not an image"), (slice(-200), "damaged image")],
)
def test_unusable_bytes_are_refused_with_a_reason(file, cut, reason):
    with pytest.raises(UserError, match=reason):
        check_bytes(file.read_bytes()[cut])


def test_what_cannot_be_decoded_is_named():
    with pytest.raises(UserError, match=r"1\.tar/a\.png is not a readable image"):
        decode_image(b"no image", "1.tar/a.png")


def test_a_file_is_read_once_to_be_checked_and_decoded(file, monkeypatch):
    monkeypatch.setattr("addnet.faces.images.np.fromfile", lambda *_, **__: pytest.fail("read again"))
    assert check_image(file).shape == (30, 40, 3)


def test_a_file_far_too_large_for_an_image_is_not_read(tmp_path):
    with (tmp_path / "video.png").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UserError, match="MB"):
        check_image(tmp_path / "video.png")
