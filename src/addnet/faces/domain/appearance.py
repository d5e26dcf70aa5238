"""Describes how an image was made, not what it shows: spectrum, detail of colours and patterns of neighbouring pixels.

These numbers separate cameras, codecs, scaling and drawings where the last features of a detector don't, since those
distinguish little but real from fake (docs/using.md has the comparison).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.faces.images import ImageArray

_LUMA = (0.01, 0.02, 0.04, 0.06, 0.09, 0.13, 0.18, 0.24, 0.31, 0.39, 0.5)  # edges of bands, in cycles per pixel
_CHROMA = (0.02, 0.06, 0.18, 0.5)
_FLOOR = 0.01  # power added before the logarithm, below that of rounding to 8 bits
_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_PATTERNS = 10
NUMBERS = len(_LUMA) - 1 + 2 * (len(_CHROMA) - 1) + 2 * _PATTERNS


def appearance(image: ImageArray) -> NDArray[np.float64]:
    """Describes an image.

    Args:
        image: (S, S, 3) uint8, RGB.

    Returns:
        (36,) logarithms of power in bands of brightness and of both colour differences, and square roots of the shares
        of uniform local binary patterns (Ojala et al. 2002), at full and at half size.
    """
    channels = cv2.split(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2YCrCb))
    grey, red, blue = (np.asarray(channel, dtype=np.float32) for channel in channels)
    half = np.asarray(cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.float32)
    parts = (_power(grey, _LUMA), _power(red, _CHROMA), _power(blue, _CHROMA), _patterns(grey), _patterns(half))
    return np.concatenate(parts)


def _power(channel: NDArray[np.float32], ends: tuple[float, ...]) -> NDArray[np.float64]:
    """Logarithm of the mean power in each band; the image is faded out towards its borders."""
    side = len(channel)
    window, bands, counts = _bands(side, ends)
    faded = (channel - channel.mean()) * window
    power = np.abs(np.fft.rfft2(faded)) ** 2 / side**2
    sums = np.bincount(bands.ravel(), weights=power.ravel(), minlength=len(ends) + 1)
    return np.log(sums[1:-1] / counts + _FLOOR)


@lru_cache(maxsize=8)
def _bands(side: int, ends: tuple[float, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Window (S, S), band number of each frequency (S, S // 2 + 1), and number of frequencies in each band."""
    fade = np.hanning(side).astype(np.float32)
    cycles = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    bands = np.digitize(cycles, ends)
    counts = np.bincount(bands.ravel(), minlength=len(ends) + 1)[1:-1]
    return fade[:, None] * fade, bands, np.maximum(counts, 1)


def _patterns(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Square roots of the shares of patterns, by number of brighter neighbours; the last is of all non-uniform ones."""
    height, width = grey.shape
    middle = grey[1:-1, 1:-1]
    code = np.zeros(middle.shape, dtype=np.uint8)
    for bit, (down, across) in enumerate(_AROUND):
        near = grey[1 + down : height - 1 + down, 1 + across : width - 1 + across]
        code |= (near >= middle).view(np.uint8) << bit
    shares = np.bincount(_uniform()[code].ravel(), minlength=_PATTERNS) / code.size
    return np.sqrt(shares)


@lru_cache(maxsize=1)
def _uniform() -> NDArray[np.uint8]:
    """(256,) number of the pattern of each code."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), _PATTERNS - 1).astype(np.uint8)
