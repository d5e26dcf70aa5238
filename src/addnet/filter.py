"""Bandpass filters in the frequency domain for inspecting images: ideal, Gaussian and Butterworth.

Usage: addnet filter IMAGE --low 0.05 --high 0.25 --kind gaussian --out outputs/filter

Writes the filtered image, and a plot with it, the original, the transfer function and both spectra. Use it to explore
which band contains the traces of a forgery; the network's own filter is `addnet.models.BandpassLayer`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from addnet.colours import BLACK
from addnet.commands import described
from addnet.console import say
from addnet.errors import UserError

KINDS = ("ideal", "gaussian", "butterworth")
UNITS = ("cycles_per_pixel", "cycles_per_image")
BORDERS = ("reflect", "wrap")
NYQUIST = 0.5  # cycles per pixel
_ROUNDING = 1e-9  # tolerance for a frequency exactly at a cut-off

Floats = NDArray[np.floating[Any]]


def bandpass_filter(
    image: ArrayLike,
    low: float,
    high: float | None = None,
    *,
    kind: str = "gaussian",
    order: int = 2,
    unit: str = "cycles_per_pixel",
    border: str = "reflect",
) -> NDArray[np.float32]:
    """Keeps the spatial frequencies between two cut-offs, in each channel separately.

    At a cut-off half of the power passes: the gain of that edge is 1/√2 (`ideal`: the gain is 1 from `low` to `high`,
    both included). If the cut-offs are close together, both edges lower the gain.

    Args:
        image: (H, W) or (H, W, C), any real numbers; uint8 values count as 0 to 255.
        low: Lower cut-off; 0 keeps everything below `high`, including the mean. Above 0, the mean of each channel is
            removed and the result is centred at 0.
        high: Upper cut-off, at most the Nyquist frequency of 0.5 cycles per pixel; that or None keeps everything
            above `low`.
        kind: `ideal` cuts sharply and rings, `gaussian` is the smoothest, `butterworth` is in between.
        order: Steepness of `butterworth`, at least 1.
        unit: `cycles_per_pixel`, or `cycles_per_image`, counted along the shorter side. Either way the cut-off is the
            same in every direction.
        border: `reflect` extends the image by its mirror image, so that opposite sides don't bleed into each other;
            `wrap` treats it as periodic, with a quarter of the work.

    Returns:
        float32 in the shape and the units of the image.

    Raises:
        UserError: A cut-off, an option or the image is not as described.

    Example:
        >>> stripes = np.tile([0.0, 1.0], (32, 16))  # 0.5 cycles per pixel around a mean of 0.5
        >>> bandpass_filter(stripes, 0.0, 0.25, kind="ideal", border="wrap").round(3)[0, :2].tolist()
        [0.5, 0.5]
    """
    pixels = _pixels(image)
    height, width = pixels.shape[:2]
    cutoffs = _cutoffs((height, width), low, high, unit)
    _choice("border", border, BORDERS)
    if border == "reflect":
        pad = [(0, height), (0, width), (0, 0)][: pixels.ndim]
        pixels = np.pad(pixels, pad, mode="symmetric")
    rows, columns = np.fft.fftfreq(pixels.shape[0]), np.fft.rfftfreq(pixels.shape[1])
    gain = _gain(np.hypot(rows[:, None], columns), cutoffs, kind, order)  # (H', W' // 2 + 1), without channels
    waves = np.fft.rfft2(pixels, axes=(0, 1)) * gain.reshape(gain.shape + (1,) * (pixels.ndim - 2))
    filtered = np.fft.irfft2(waves, s=pixels.shape[:2], axes=(0, 1))
    return filtered[:height, :width].astype(np.float32)


def transfer_function(
    shape: tuple[int, int],
    low: float,
    high: float | None = None,
    *,
    kind: str = "gaussian",
    order: int = 2,
    unit: str = "cycles_per_pixel",
) -> NDArray[np.float64]:
    """Returns the gain at every frequency, laid out as in `spectrum`.

    Args:
        shape: Height and width of the image.
        low: Lower cut-off.
        high: Upper cut-off; None: the Nyquist frequency.
        kind: `ideal`, `gaussian` or `butterworth`; see `bandpass_filter`.
        order: Steepness of `butterworth`, at least 1.
        unit: Unit of the cut-offs: `cycles_per_pixel` or `cycles_per_image`.

    Returns:
        (H, W) in [0, 1], frequency 0 at [H // 2, W // 2].

    Raises:
        UserError: A cut-off or an option is not as described.
    """
    rows, columns = (np.fft.fftshift(np.fft.fftfreq(side)) for side in shape[:2])
    return _gain(np.hypot(rows[:, None], columns), _cutoffs(shape[:2], low, high, unit), kind, order)


def spectrum(image: ArrayLike) -> NDArray[np.float32]:
    """Returns log(1 + |amplitude|) of every frequency, channel by channel.

    Args:
        image: (H, W) or (H, W, C), any real numbers.

    Returns:
        Same shape, frequency 0 at [H // 2, W // 2].
    """
    waves = np.fft.fftshift(np.fft.fft2(_pixels(image), axes=(0, 1)), axes=(0, 1))
    return np.log1p(np.abs(waves)).astype(np.float32)


def _gain(frequency: Floats, cutoffs: tuple[float, float], kind: str, order: int) -> NDArray[np.float64]:
    """Returns the gain of a low-pass at the upper cut-off times a high-pass at the lower, in cycles per pixel."""
    _choice("kind", kind, KINDS)
    if order < 1:
        raise UserError(f"order={order} is too small; use 1 or more.")
    low, high = cutoffs
    gain = np.ones_like(frequency, dtype=np.float64)
    if high < NYQUIST:
        gain *= _low_pass(frequency / high, kind, order)
    if low > 0:
        gain *= _high_pass(frequency / low, kind, order)
    return gain


def _low_pass(ratio: Floats, kind: str, order: int) -> Floats:
    if kind == "ideal":
        return (ratio <= 1 + _ROUNDING).astype(np.float64)
    if kind == "gaussian":
        return np.asarray(np.exp(math.log(math.sqrt(0.5)) * ratio**2))
    with np.errstate(over="ignore"):  # far above the cut-off, 1 / inf = 0 is correct
        return np.asarray(1 / np.sqrt(1 + ratio ** (2 * order)))


def _high_pass(ratio: Floats, kind: str, order: int) -> Floats:
    if kind == "ideal":
        return (ratio >= 1 - _ROUNDING).astype(np.float64)
    if kind == "gaussian":
        return np.asarray(1 - np.exp(math.log(1 - math.sqrt(0.5)) * ratio**2))
    with np.errstate(over="ignore", divide="ignore"):
        return np.asarray(1 / np.sqrt(1 + (1 / ratio) ** (2 * order)))


def _cutoffs(shape: tuple[int, ...], low: float, high: float | None, unit: str) -> tuple[float, float]:
    """Returns both cut-offs in cycles per pixel; without an upper one, the Nyquist frequency."""
    _choice("unit", unit, UNITS)
    cycles = min(shape) if unit == "cycles_per_image" else 1
    nyquist = NYQUIST * cycles
    upper = nyquist if high is None else high
    if not 0 <= low < upper <= nyquist:
        raise UserError(
            f"low={low} and high={high} are not a valid band; use 0 <= low < high <= {nyquist:g} {unit}, or no high."
        )
    return low / cycles, upper / cycles


def _pixels(image: ArrayLike) -> NDArray[np.float64]:
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise UserError(f"An array of shape {pixels.shape} is not an image; use (H, W) or (H, W, C).")
    if not np.isfinite(pixels).all():
        raise UserError("The image contains values that are not finite; replace them first.")
    return pixels


def _choice(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f"{option}={value!r} is unknown; choose one of: {', '.join(choices)}.")


def to_8_bit(filtered: Floats, *, around_zero: bool) -> NDArray[np.uint8]:
    """Converts a filtered image to 8 bits.

    Args:
        filtered: The filtered image in grey levels.
        around_zero: Show 0 as mid-grey (128) and scale the largest deviation, or one grey level if that is larger, to
            the full range. Otherwise grey levels are kept and clipped.
    """
    if not around_zero:
        return np.asarray(np.clip(np.rint(filtered), 0, 255), dtype=np.uint8)
    largest = max(1.0, float(np.abs(filtered).max()))
    return np.asarray(np.rint(128 + 127 * filtered / largest), dtype=np.uint8)


def spectrum_plot(image: NDArray[np.uint8], filtered: Floats, gain: Floats, *, title: str) -> Figure:
    """Draws original, filtered image, transfer function, gain over frequency and both spectra.

    Args:
        image: (H, W, 3) RGB.
        filtered: (H, W, 3), from `bandpass_filter`.
        gain: (H, W), from `transfer_function`.
        title: Title of the plot.
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(2, 3)
    height, width = gain.shape
    extent = (-NYQUIST, NYQUIST, NYQUIST, -NYQUIST)
    axes[0, 0].imshow(image)
    axes[0, 1].imshow(to_8_bit(filtered, around_zero=gain[height // 2, width // 2] == 0))
    axes[0, 2].imshow(gain, cmap="gray", vmin=0, vmax=1, extent=extent)
    spectra = [spectrum(pixels).mean(axis=2) for pixels in (image, filtered)]
    for axis, drawn in zip(axes[1], spectra, strict=False):
        axis.imshow(drawn, cmap="magma", vmin=0, vmax=spectra[0].max(), extent=extent)
    # the row through frequency 0, from the centre to the right edge: horizontal frequencies 0 to 0.5
    axes[1, 2].plot(np.arange(width - width // 2) / width, gain[height // 2, width // 2 :], color=BLACK)
    axes[1, 2].set(xlabel="cycles per pixel", ylabel="gain", ylim=(0, 1.05))
    names = (
        "original",
        "filtered",
        "transfer function",
        "spectrum",
        "spectrum, filtered",
        "gain, horizontal",
    )
    for axis, name in zip(axes.flat, names, strict=True):
        axis.set_title(name)
    for axis in axes[0, :2]:
        axis.axis("off")
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        written = _write(options)
    except UserError as error:
        say(error)
        return 2
    except OSError as error:
        say(f"--out {options.out} can't be written to: {error.strerror or error}")
        return 2
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


def _write(options: argparse.Namespace) -> list[Path]:
    """Filters the image and returns the paths of the two files written."""
    from addnet.faces.images import read_image  # here, so that the filters themselves don't import faces/

    image = read_image(options.image)
    band = {name: getattr(options, name) for name in ("kind", "order", "unit")}
    gain = transfer_function(image.shape[:2], options.low, options.high, **band)
    filtered = bandpass_filter(image, options.low, options.high, border=options.border, **band)
    shown = to_8_bit(filtered, around_zero=options.low > 0)
    high = "" if options.high is None else f"{options.high:g}"
    stem = options.out / f"{options.image.stem}_{options.kind}_{options.low:g}-{high}"
    title = f"{options.kind} band {options.low:g} to {high or 'Nyquist'} {options.unit.replace('_', ' ')}"
    paths = [stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}_spectrum.png")]
    options.out.mkdir(parents=True, exist_ok=True)
    paths[0].write_bytes(cv2.imencode(".png", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))[1].tobytes())
    spectrum_plot(image, filtered, gain, title=title).savefig(paths[1], dpi=100)
    return paths


class _Parser(argparse.ArgumentParser):
    """Ends a wrong command line with one sentence instead of the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message}; see --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(**described("filter"))
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--low", type=float, default=0.0, help="lower cut-off (default: 0, which keeps the mean)")
    parser.add_argument("--high", type=float, help="upper cut-off (default: Nyquist, 0.5 cycles per pixel)")
    parser.add_argument("--kind", choices=KINDS, default="gaussian", help="shape of the edges (default: gaussian)")
    parser.add_argument("--order", type=int, default=2, help="steepness of butterworth (default: 2)")
    parser.add_argument(
        "--unit", choices=UNITS, default=UNITS[0], help="unit of the cut-offs (default: cycles_per_pixel)"
    )
    parser.add_argument(
        "--border", choices=BORDERS, default=BORDERS[0], help="extension beyond the image (default: reflect)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/filter"), help="output folder (default: outputs/filter)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
