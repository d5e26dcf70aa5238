"""An image's header tells what its decoder would need, and what is too much is refused before it is decoded."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from addnet.errors import UserError
from addnet.faces import check_bytes, decode_image
from addnet.faces.headers import Header, header_of
from addnet.faces.images import MAX_PIXELS

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8))

EXIF = b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)  # a segment that asks to be put together with others


def _saved(form, image=NOISE, **how):
    data = io.BytesIO()
    image.save(data, form, **how)
    return data.getvalue()


@pytest.fixture
def no_decoder(monkeypatch):
    monkeypatch.setattr("addnet.faces.images.Image.open", lambda *_, **__: pytest.fail("reached Pillow"))
    monkeypatch.setattr("addnet.faces.images.cv2.imdecode", lambda *_: pytest.fail("reached OpenCV"))


@pytest.mark.parametrize(
    ("form", "how"),
    [
        ("JPEG", {}),
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0" + bytes(20)}),
        ("TIFF", {}),
        ("TIFF", {"big_tiff": True}),
        ("PPM", {}),
        ("GIF", {}),
    ],
)
def test_the_header_tells_the_size_in_every_format(form, how):
    assert header_of(_saved(form, **how), form) == Header(32, 24)
    with pytest.raises(UserError, match=f"not a readable {form}"):
        header_of(_saved(form, **how)[:8], form)


def test_scans_are_counted():
    assert header_of(_saved("JPEG", progressive=True), "JPEG") == Header(32, 24, 10)


def _png(width, height, *chunks):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = b"".join(chunk(*each) for each in chunks)
    return b"\x89PNG\r\n\x1a\n" + start + rest + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _jpeg(width, height):
    data = _saved("JPEG")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def _many_scans():
    data = _saved("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 600 + data[-2:]


def _beyond_its_canvas():
    data = _saved("GIF")
    place = data.index(b"\x2c\0\0\0\0") + 1
    return data[:place] + struct.pack("<HH", 30_000, 30_000) + data[place + 4 :]


def _many_comments():
    data = _saved("GIF")
    place = data.index(b"\x2c\0\0\0\0")
    return data[:place] + (b"\x21\xfe" + b"\x01a" * 100 + b"\0") * 100 + data[place:]


def _twice_in_a_tiff():
    """A directory that says 32 and then 60,000 pixels: decoders differ in which one they take."""
    data = _saved("TIFF")
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    sizes = [(256, 32), (257, 24), (256, 60_000), (257, 60_000)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sizes)
    rest = data[start + 2 : start + 2 + 12 * count]
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + struct.pack("<H", count + 4) + entries + rest + bytes(4)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (_png(30_000, 30_000), "30000×30000 pixels; at most 80 megapixels"),
        (_jpeg(60_000, 60_000), "60000×60000 pixels; at most 80 megapixels"),
        (b"P6\n# small\n90000 90000\n255\n", "90000×90000 pixels"),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 40_000, -40_000), "40000×40000 pixels"),
        (_beyond_its_canvas(), "30032×30024 pixels"),
        (
            b"\xff\xd8" + (b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)) * 600 + _saved("JPEG")[2:],
            "damaged image: not a readable JPEG",
        ),
        (_many_comments(), "damaged image: not a readable GIF"),
        (_twice_in_a_tiff(), "60000×60000 pixels"),
        (_many_scans(), "JPEG of 32×24 pixels in 609 scans; at most 500"),
        (_png(32, 24, *[(b"zTXt", b"k\0\0" + zlib.compress(bytes(9)))] * 40), "PNG with too many texts"),
    ],
)
def test_what_would_take_gigabytes_or_minutes_reaches_no_decoder(no_decoder, data, told):
    with pytest.raises(UserError, match=f"^{told}"):
        check_bytes(data)
    with pytest.raises(UserError, match=f"^a: {told}"):
        decode_image(data, "a")


@pytest.mark.parametrize("hidden", [b"\xff\x00", b"\xff\xe5\x00\x00", b"\xff\xe5\x00\x01", b"\xff\xd0"])
def test_a_false_size_of_a_jpeg_does_not_hide_the_true_one(hidden):
    """What one reader takes for the length of a segment, and another for nothing, would hide the size from one."""
    data, small = _saved("JPEG"), _jpeg(2, 2)
    place, false = data.index(b"\xff\xc0"), small[small.index(b"\xff\xc0") : small.index(b"\xff\xda") + 14]
    length = (2 + len(data) - place).to_bytes(2, "big")
    header = header_of(data[:place] + hidden + length + data[place:] + false, "JPEG")
    assert (header.width, header.height) == (32, 24)


@pytest.mark.parametrize("form", ["JPEG2000", "AVIF"])
def test_formats_that_only_pillow_reads_have_the_same_limit(form, monkeypatch):
    Image.init()
    if form not in Image.SAVE:
        pytest.skip(f"this Pillow has no {form}")
    data = _saved(form)
    monkeypatch.setattr("addnet.faces.images.MAX_PIXELS", 32 * 24 - 1)
    monkeypatch.setattr("addnet.faces.images.from_pillow", lambda _: pytest.fail("decoded"))
    with pytest.raises(UserError, match="32×24 pixels"):
        decode_image(data)
    assert MAX_PIXELS == 80_000_000
