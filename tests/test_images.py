"""Whatever lies in a folder of images is converted or refused with a reason."""

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image, features

from addnet.data.audit.signals import measure
from addnet.errors import UserError
from addnet.faces import check_bytes, check_image, read_image
from addnet.faces.images import from_pillow
from addnet.faces.native import jpeg_complaints

COLOUR = (200, 120, 40)


def _grey_gradient():
    return np.tile(np.linspace(0, 255, 40, dtype=np.uint8), (30, 1))


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp"])
def test_formats_give_rgb(tmp_path, suffix):
    file = tmp_path / f"image.{suffix}"
    Image.new("RGB", (40, 30), COLOUR).save(file, quality=95)
    image = check_image(file)
    assert image.shape == (30, 40, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.reshape(-1, 3).mean(axis=0) - COLOUR).max() < 6


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16", "1"])
def test_modes_are_converted(tmp_path, mode):
    file = tmp_path / ("grey.jpg" if mode == "CMYK" else "image.png")
    grey = Image.fromarray(_grey_gradient())
    image = Image.fromarray(_grey_gradient().astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image.save(file, **({"quality": 95} if mode == "CMYK" else {}))
    pixels = check_image(file)
    assert pixels.shape == (30, 40, 3)
    tolerance = 255 if mode == "1" else 8  # dithered
    assert np.abs(pixels[..., 0].astype(int) - _grey_gradient()).max() <= tolerance


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 30))
    image.paste((255, 255, 255), (0, 0, 20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    image.save(tmp_path / "turned.jpg", exif=exif)
    pixels = check_image(tmp_path / "turned.jpg")
    assert pixels.shape == (40, 30, 3)
    assert pixels[:15].mean() > 240
    assert pixels[25:].mean() < 15


def _truncated(file):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("a.jpg", _truncated, "damaged"),
        ("a.png", _truncated, "damaged"),
        ("a.jpg", lambda file: file.write_bytes(b""), "0 bytes"),
        ("a.jpg", lambda file: file.write_text("no image at all"), "not an image"),
        ("a.png", lambda file: Image.new("RGB", (1, 1)).save(file), "1×1"),
        ("a.png", lambda file: Image.new("1", (20_000, 20_000)).save(file), "megapixels"),
    ],
)
def test_unusable_files_are_refused_with_a_reason(tmp_path, name, spoil, reason):
    file = tmp_path / name
    spoil(file)
    with pytest.raises(UserError, match=reason):
        check_image(file)


def test_a_long_thin_image_is_fine(tmp_path):
    Image.new("RGB", (20_000, 40)).save(tmp_path / "long.png")
    assert check_image(tmp_path / "long.png").shape == (40, 20_000, 3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.jpg"):
        read_image(tmp_path / "nothing.jpg")


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("TIFF", "tif"), ("JPEG", "jfif"), ("PPM", "ppm"), ("GIF", "gif"), ("AVIF", "avif"), ("JPEG2000", "jp2")],
)
@pytest.mark.parametrize("named", [True, False])
def test_the_content_tells_the_format_and_not_the_name(tmp_path, form, suffix, named):
    if not features.check("avif") and form == "AVIF":
        pytest.skip("this Pillow has no AVIF")
    file = tmp_path / (f"image.{suffix}" if named else "image.jpg")
    Image.new("RGB", (40, 30), COLOUR).save(file, format=form)
    assert np.abs(check_image(file).reshape(-1, 3).mean(axis=0) - COLOUR).max() < 6


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "AVIF"])
def test_rotation_is_applied_alike_in_all_formats_and_to_pil_images(tmp_path, form):
    if not features.check("avif") and form == "AVIF":
        pytest.skip("this Pillow has no AVIF")
    image, exif = Image.new("RGB", (40, 30)), Image.Exif()
    image.paste((255, 255, 255), (0, 0, 20, 30))
    exif[0x0112] = 6
    image.save(tmp_path / "turned.image", format=form, exif=exif)
    pixels = check_image(tmp_path / "turned.image")
    assert pixels.shape == (40, 30, 3)
    assert pixels[:15].mean() > 240
    with Image.open(tmp_path / "turned.image") as opened:
        assert np.abs(from_pillow(opened).astype(int) - pixels).max() <= 8  # another decoder


@pytest.mark.parametrize("how", ["plain", "turned", "animated", "transparent"])
def test_a_checked_png_is_what_training_decodes(tmp_path, how):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 4 if how == "transparent" else 3), dtype=np.uint8)
    image, exif, options = Image.fromarray(pixels), Image.Exif(), {}
    exif[0x0112] = 6 if how == "turned" else 1
    if how == "animated":  # the image for programs that know no animations isn't one of its frames
        options = {"save_all": True, "append_images": [image.rotate(180)], "default_image": True}
    image.save(tmp_path / "a.png", exif=exif, **options)
    assert np.array_equal(check_image(tmp_path / "a.png"), read_image(tmp_path / "a.png"))


def test_colours_of_16_bits_in_a_tiff_are_read(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "deep.tif"), image[..., ::-1].astype(np.uint16) * 257)
    assert np.array_equal(check_image(tmp_path / "deep.tif"), image)


def test_pil_images_of_16_bits_are_what_their_file_is(tmp_path):
    image = Image.fromarray(_grey_gradient().astype(np.uint16) * 257)
    image.save(tmp_path / "deep.png")
    assert np.array_equal(from_pillow(image), check_image(tmp_path / "deep.png"))
    with pytest.raises(UserError, match="mode F"):
        from_pillow(Image.fromarray(np.zeros((30, 40), dtype=np.float32)))


def _jpeg(**how):
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(data, "JPEG", **how)
    return data.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_in_half_and_closed_by_an_end_marker_is_damaged(progressive):
    data = _jpeg(progressive=progressive)
    assert check_bytes(data).shape == (64, 64, 3)
    for read in (check_bytes, measure):
        with pytest.raises(UserError, match="damaged image"):
            read(data[: len(data) // 2] + b"\xff\xd9")


def test_what_others_write_while_a_jpeg_is_decoded_is_not_lost(capfd):
    with jpeg_complaints() as complaints:
        os.write(2, b"from elsewhere\nCorrupt JPEG data: premature end of data segment\n")
    assert complaints == ["Corrupt JPEG data: premature end of data segment"]
    assert capfd.readouterr().err == "from elsewhere\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n", "PostScript"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"<!DOCTYPE html>", "HTML"),
    ],
)
def test_what_is_no_image_reaches_no_decoder_and_is_named(monkeypatch, tmp_path, data, told):
    monkeypatch.setattr("addnet.faces.images.Image.open", lambda *_, **__: pytest.fail("reached Pillow"))
    monkeypatch.setattr("addnet.faces.images.cv2.imdecode", lambda *_: pytest.fail("reached OpenCV"))
    (tmp_path / "a.jpg").write_bytes(data)
    for read in (check_image, read_image, lambda file: measure(file.read_bytes())):
        with pytest.raises(UserError, match=told):
            read(tmp_path / "a.jpg")
