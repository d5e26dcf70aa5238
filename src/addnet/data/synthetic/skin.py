"""Draws lit skin: a relief of the face, made of soft bumps and shaded by the view's light.

The skin is computed once on an upright grid in face units, where every bump is the product of two curves. The matrix
of the pose then warps it onto the image.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.synthetic.canvas import Array
from addnet.data.synthetic.people import Identity, PortraitView

Map = NDArray[np.float32]

GRID = 256
_STEP = 4.0 / (GRID - 1)
_U = np.linspace(-2.0, 2.0, GRID, dtype=np.float32)
_V = np.linspace(-1.7, 2.3, GRID, dtype=np.float32)

# A bump is midway between two landmarks: first, second, offset u and v, sigma u and v, height.
Bumps = tuple[tuple[int, int, float, float, float, float, float], ...]

_SOCKETS: Bumps = ((36, 39, 0, 0, 0.24, 0.14, -0.10), (42, 45, 0, 0, 0.24, 0.14, -0.10))
_BROW_RIDGES: Bumps = tuple((brow, brow, 0, 0, 0.14, 0.07, 0.05) for brow in (18, 19, 20, 23, 24, 25))
_NOSE: Bumps = (
    *((27 + i // 2, 27 + (i + 1) // 2, 0, 0, 0.06 + 0.005 * i, 0.09, 0.05 + 0.02 * i) for i in range(7)),
    (30, 30, 0, 0, 0.11, 0.09, 0.16),
    (31, 31, 0, 0, 0.075, 0.07, 0.12),
    (35, 35, 0, 0, 0.075, 0.07, 0.12),
)
_CHEEKS: Bumps = ((36, 48, -0.12, 0.1, 0.26, 0.22, 0.08), (45, 54, 0.12, 0.1, 0.26, 0.22, 0.08))
_LIPS: Bumps = (
    (51, 51, 0, 0, 0.20, 0.06, 0.06),
    (57, 57, 0, 0, 0.20, 0.07, 0.07),
    (62, 66, 0, 0, 0.30, 0.03, -0.04),
    (57, 57, 0, 0.14, 0.26, 0.06, -0.06),
    (8, 8, 0, -0.22, 0.24, 0.15, 0.10),
)
_RELIEF: Bumps = (*_SOCKETS, *_BROW_RIDGES, *_NOSE, *_CHEEKS, *_LIPS)

# Hollows that are dark whatever the direction of the light: sockets, next to and under the nose, under the lower lip.
_HOLLOWS: Bumps = (
    *((*eye, 0, -0.06, 0.21, 0.12, 0.30) for eye in ((36, 39), (42, 45))),
    *((*eye, 0, 0.17, 0.17, 0.04, 0.10) for eye in ((36, 39), (42, 45))),
    (39, 27, 0, 0, 0.08, 0.12, 0.16),
    (42, 27, 0, 0, 0.08, 0.12, 0.16),
    (33, 33, 0, 0.04, 0.13, 0.05, 0.30),
    (31, 31, 0, 0, 0.06, 0.07, 0.10),
    (35, 35, 0, 0, 0.06, 0.07, 0.10),
    (57, 57, 0, 0.09, 0.22, 0.05, 0.22),
)
_FLUSH: Bumps = (
    (36, 48, -0.12, 0.1, 0.25, 0.2, 0.10),
    (45, 54, 0.12, 0.1, 0.25, 0.2, 0.10),
    (30, 30, 0, 0, 0.14, 0.12, 0.10),
)
_BEARD: Bumps = (
    *((jaw, 8, 0, -0.15, 0.22, 0.2, 0.5) for jaw in (2, 4, 6, 10, 12, 14)),
    (33, 51, 0, 0.04, 0.25, 0.06, 0.6),
)


def lit_skin(identity: Identity, view: PortraitView, landmarks: Array) -> Map:
    """The skin of the whole face plane under the view's light.

    Args:
        identity: The person, with tone, pores, stubble and moles.
        view: The view, with the direction of the light.
        landmarks: (68, 2) upright landmarks in face units.

    Returns:
        (GRID, GRID, 3) float32 RGB, about [0, 1]; `grid_to_face` maps its pixels to face units.
    """
    rng = np.random.default_rng((identity.texture, 0))
    grain = identity.grain * _pores(rng)
    shade, gloss = _light(identity, view, landmarks)
    tone = _albedo(identity, landmarks, rng)
    return np.asarray(tone * (shade * (1 + grain))[..., None] + (gloss * (0.10 + grain))[..., None], np.float32)


def grid_to_face() -> Array:
    """(2, 3) matrix from the grid's columns and rows to face units."""
    return np.array([[_STEP, 0, _U[0]], [0, _STEP, _V[0]]])


def _bumps(landmarks: Array, table: Bumps) -> Map:
    """Sum of the table's Gaussian bumps on the grid: (GRID, GRID)."""
    first, second, du, dv, wide, high, weight = np.array(table, np.float32).T
    middle = (landmarks[first.astype(int)] + landmarks[second.astype(int)]) / 2
    return _field(middle[:, 0] + du, middle[:, 1] + dv, wide, high, weight)


def _field(u: Array, v: Array, wide: Map, high: Map, weight: Map) -> Map:
    # The limit of 20 keeps products of two tails out of the range of denormal numbers, which are slow.
    across = np.exp(-np.minimum(((_U[:, None] - u.astype(np.float32)) / wide) ** 2 / 2, 20))
    down = np.exp(-np.minimum(((_V[:, None] - v.astype(np.float32)) / high) ** 2 / 2, 20))
    # Not `@`: for such a small product, BLAS starts threads that spin idly and slow down other work.
    return np.asarray(np.einsum("vk,ku->vu", down * weight, np.ascontiguousarray(across.T)), np.float32)


def _pores(rng: np.random.Generator) -> Map:
    """Noise with mean 0 and deviation 1 in the frequency band that a generator's low resolution loses: (GRID, GRID)."""
    noise = rng.standard_normal((GRID, GRID), np.float32)
    band = cv2.GaussianBlur(noise, (0, 0), 1.8) - 0.8 * cv2.GaussianBlur(noise, (0, 0), 3.2)
    return np.asarray(band / band.std(), np.float32)


def _light(identity: Identity, view: PortraitView, landmarks: Array) -> tuple[Map, Map]:
    """Diffuse shade about 1 and gloss in [0, 1], both (GRID, GRID)."""
    middle = np.float32(landmarks[[0, 16], 0].mean())
    dome = 1 - ((_U - middle) / np.float32(identity.jaw_width * 1.15)) ** 2 - ((_V[:, None] - 0.35) / 1.85) ** 2
    height = 1.05 * np.sqrt(np.maximum(dome, 0.02)) + _bumps(landmarks, _RELIEF)
    down, across = np.gradient(height, np.float32(_STEP))
    steep = np.sqrt(across**2 + down**2 + 1)
    x, y, z = _light_in_face(view)
    diffuse = np.maximum(((z - x * across - y * down) / steep + 0.25) / 1.25, 0)
    x, y, z = np.array([x, y, z + 1], np.float32) / np.float32(np.sqrt(2 + 2 * z))
    gloss = np.maximum((z - x * across - y * down) / steep, 0) ** 24
    ambient = np.float32(view.ambient)
    return (ambient + (np.float32(1.22) - ambient) * diffuse) * (1 - _bumps(landmarks, _HOLLOWS)), gloss


def _light_in_face(view: PortraitView) -> Map:
    """(3,) unit vector to the light in the axes of the face: the lamp stays in place when the head rolls."""
    angle = np.radians(view.roll)
    x, y, z = view.light
    light = np.array([x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle), z], np.float32)
    return np.asarray(light / np.linalg.norm(light), np.float32)


def _albedo(identity: Identity, landmarks: Array, rng: np.random.Generator) -> Map:
    """Colour of the unlit skin, with tone, blotches, redness, stubble and moles: (GRID, GRID, 3)."""
    coarse = rng.normal(1, 0.03, (14, 14, 1)) + rng.normal(0, 0.01, (14, 14, 3))
    blotches = cv2.resize(coarse.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_CUBIC)
    red = 1 - _bumps(landmarks, _FLUSH)[..., None] * np.array([0.0, 1.2, 1.0], np.float32)
    tone = np.asarray(identity.skin, np.float32) * blotches * red
    bristles = np.float32(0.5) + np.float32(0.8) * rng.random((GRID, GRID), np.float32)
    beard = (np.float32(identity.stubble) * _bumps(landmarks, _BEARD).clip(0, 1) * bristles).clip(0, 1)[..., None]
    tone += beard * (np.asarray(identity.hair, np.float32) * np.float32(0.8) - tone)
    moles = rng.uniform((-0.9, 0.2), (0.9, 1.5), (int(rng.integers(1, 5)), 2))
    wide = np.full(len(moles), 0.022, np.float32)
    return np.asarray(tone * (1 - _field(moles[:, 0], moles[:, 1], wide, wide, wide * 18)[..., None]), np.float32)
