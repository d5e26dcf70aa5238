"""The frequency-domain filter keeps what lies in the band, removes the rest, and says what is wrong."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from addnet.errors import UserError
from addnet.filter import KINDS, bandpass_filter, main, spectrum, to_8_bit, transfer_function

RNG = np.random.default_rng()
BROKEN = [
    {"low": 0.3, "high": 0.1},
    {"low": 0.2, "high": 0.2},
    {"low": -0.1, "high": 0.1},
    {"low": 0.1, "high": 0.6},
    {"low": float("nan")},
    {"low": 0.1, "kind": "gausian"},
    {"low": 0.1, "unit": "pixels"},
    {"low": 0.1, "border": "zero"},
    {"low": 0.1, "kind": "butterworth", "order": 0},
    {"low": 3, "high": 17, "unit": "cycles_per_image"},
]


def wave(cycles, shape=(64, 64), axis=1):
    """A sinusoid of whole cycles along one axis, with a random phase."""
    along = np.arange(shape[axis]) / shape[axis]
    line = np.sin(2 * np.pi * (cycles * along + RNG.random()))
    return np.broadcast_to(line if axis == 1 else line[:, None], shape)


@pytest.mark.parametrize("axis", [0, 1])
def test_ideal_band_keeps_what_is_inside_and_removes_what_is_outside(axis):
    inside, below, above = wave(8, axis=axis), wave(3, axis=axis), wave(20, axis=axis)
    result = bandpass_filter(inside + below + above, 0.1, 0.2, kind="ideal", border="wrap")
    np.testing.assert_allclose(result, inside, atol=1e-6)


@pytest.mark.parametrize("side", [30, 49, 64, 97])
def test_ideal_band_includes_waves_right_on_its_cut_offs(side):
    edge, options = wave(5, (side, side)) + wave(9, (side, side)), {"kind": "ideal", "border": "wrap"}
    kept = bandpass_filter(edge, 5, 9, unit="cycles_per_image", **options)
    lost = bandpass_filter(edge, 5.1, 8.9, unit="cycles_per_image", **options)
    np.testing.assert_allclose(kept, edge, atol=1e-6)
    np.testing.assert_allclose(lost, 0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_smooth_bands_pass_the_middle_and_weaken_the_far_outside(kind):
    power = [np.square(bandpass_filter(wave(c, (96, 96)), 0.08, 0.3, kind=kind)).mean() for c in (1, 15, 47)]
    assert power[1] > 0.3
    assert power[0] < 0.05
    assert power[2] < power[1] / 1.4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("border", ["reflect", "wrap"])
def test_flat_images_vanish_when_the_mean_is_filtered_out(kind, border):
    flat = np.full((33, 47, 3), RNG.integers(1, 256), np.uint8)
    assert np.abs(bandpass_filter(flat, 0.01, 0.4, kind=kind, border=border)).max() < 1e-9
    np.testing.assert_allclose(bandpass_filter(flat, 0, 0.4, kind=kind, border=border), flat, rtol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "butterworth"])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_half_of_the_power_passes_at_a_cut_off(kind, order):
    shape, options = (80, 120), {"kind": kind, "order": order}
    low_pass = transfer_function(shape, 0, 0.25, **options)[40, 60 + 30]
    high_pass = transfer_function(shape, 0.1, None, **options)[40 + 8, 60]
    assert low_pass**2 == pytest.approx(0.5)
    assert high_pass**2 == pytest.approx(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_gain_falls_monotonically_away_from_the_band(kind):
    row = transfer_function((128, 128), 0.0, 0.2, kind=kind)[64, 64:]
    assert (np.diff(row) <= 0).all()
    row = transfer_function((128, 128), 0.2, None, kind=kind)[64, 64:]
    assert (np.diff(row) >= 0).all()
    assert row[0] == 0


def test_steep_butterworth_approaches_the_ideal_band_without_overflow():
    shape, band = (64, 64), (0.001, 0.21)
    with np.errstate(all="raise", under="ignore"):
        steep = transfer_function(shape, *band, kind="butterworth", order=300)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftshift(np.fft.fftfreq(64))] * 2))
    clear = np.abs(frequency / 0.21 - 1) > 0.01
    np.testing.assert_allclose(steep[clear], transfer_function(shape, *band, kind="ideal")[clear], atol=0.06)


def test_units_agree_across_the_shorter_side():
    image = RNG.random((40, 60))
    by_pixel = bandpass_filter(image, 0.1, 0.3)
    by_image = bandpass_filter(image, 4, 12, unit="cycles_per_image")
    np.testing.assert_allclose(by_pixel, by_image, atol=1e-6)


@pytest.mark.parametrize("shape", [(31, 44), (31, 44, 3), (44, 31, 1), (1, 9)])
def test_channels_are_filtered_by_themselves(shape):
    image = RNG.integers(0, 256, shape).astype(np.uint8)
    result = bandpass_filter(image, 0.05, 0.3)
    assert result.shape == spectrum(image).shape == shape
    assert result.dtype == np.float32
    if len(shape) == 3:
        alone = bandpass_filter(image[..., 0], 0.05, 0.3)
        np.testing.assert_allclose(result[..., 0], alone, atol=1e-4)


def test_a_mirrored_border_lets_no_opposite_side_through():
    image = np.zeros((64, 64))
    image[:, 40:] = 1.0
    far = bandpass_filter(image, 0.1, 0.4)[:, 0]
    assert np.abs(far).max() < 1e-3
    assert np.abs(bandpass_filter(image, 0.1, 0.4, border="wrap")[:, 0]).max() > 0.1


def test_the_whole_band_returns_the_image_and_high_none_is_nyquist():
    image = RNG.random((20, 21, 3))
    np.testing.assert_allclose(bandpass_filter(image, 0), image, atol=1e-6)
    np.testing.assert_array_equal(bandpass_filter(image, 0.1), bandpass_filter(image, 0.1, 0.5))


def test_spectrum_is_centred():
    power = spectrum(wave(10, (64, 64), axis=1) + 5)
    assert np.unravel_index(power.argmax(), power.shape) == (32, 32)
    assert power[32, 32 + 10] == pytest.approx(np.log1p(64 * 64 / 2), rel=1e-4)


def test_mid_grey_is_zero_and_flat_noise_is_not_stretched():
    band = np.array([[-2.0, 0.0, 1.0]])
    assert to_8_bit(band, around_zero=True).tolist() == [[1, 128, 192]]
    assert (to_8_bit(RNG.standard_normal((8, 8)) * 1e-12, around_zero=True) == 128).all()
    assert to_8_bit(np.array([-3.0, 12.4, 300.0]), around_zero=False).tolist() == [0, 12, 255]


@pytest.mark.parametrize("options", BROKEN, ids=str)
def test_what_is_no_band_is_refused_by_name(options):
    named = "|".join(options)
    with pytest.raises(UserError, match=named):
        bandpass_filter(np.zeros((32, 48)), **options)
    if "border" not in options:
        with pytest.raises(UserError, match=named):
            transfer_function((32, 48), **options)


@pytest.mark.parametrize("image", [np.zeros(5), np.zeros((0, 4)), np.full((4, 4), np.nan)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(UserError, match="image"):
        bandpass_filter(image, 0.1)


def test_command_writes_the_image_and_the_plot(tmp_path, capsys):
    pytest.importorskip("addnet.faces.images")
    image = RNG.integers(0, 256, (50, 70, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "face.png"), image)
    out = tmp_path / "new" / "folder"
    assert main([str(tmp_path / "face.png"), "--low", "0.05", "--high", "0.25", "--out", str(out)]) == 0
    filtered, figure = (cv2.imread(line) for line in capsys.readouterr().out.split())
    expected = to_8_bit(bandpass_filter(image, 0.05, 0.25), around_zero=True)
    np.testing.assert_array_equal(filtered, expected)
    assert figure.shape[1] > 500


@pytest.mark.parametrize(
    "arguments",
    [
        "missing.png",
        "{text}",
        "{image} --low 0.3 --high 0.1",
        "{image} --high 0.7",
        "{image} --low much",
        "{image} --kind notch",
        "{image} --out {text}",
    ],
)
def test_command_answers_mistakes_in_one_sentence_and_exits_with_2(tmp_path, capsys, arguments):
    pytest.importorskip("addnet.faces.images")
    text, image = tmp_path / "text.png", tmp_path / "image.png"
    text.write_text("no image")
    cv2.imwrite(str(image), np.zeros((20, 20, 3), np.uint8))
    try:
        code = main(arguments.format(text=text, image=image).split())
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)


def test_filters_need_neither_torch_nor_global_plot_state():
    code = "import sys, addnet.filter; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
