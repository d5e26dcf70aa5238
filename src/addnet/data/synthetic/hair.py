"""Paints combed hair: strands from the parting to the temples, and down the back if the hair is long."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.synthetic.canvas import Array, Canvas, smooth
from addnet.data.synthetic.people import Identity, PortraitView

_ARC = 25  # landmarks along the arc from ear to ear
_SHIFT = 4


def hair_behind(canvas: Canvas, identity: Identity, landmarks: Array) -> None:
    """Paints the hair behind the head, and, if it is long, the hair that hangs down behind the neck."""
    rng = np.random.default_rng((identity.texture, 3))
    outer, _ = _arcs(identity, landmarks)
    canvas.fill(smooth(outer), np.asarray(identity.hair) * 0.6, blur=0.01)
    if identity.hair_length < 1:
        return
    fall = np.array([(-0.10, 0.45), (-0.02, 1.0)]) * (1, identity.hair_length)
    shape = smooth(np.concatenate([outer, outer[-1] + fall * (-1, 1), (outer[0] + fall)[::-1]]), closed=True)
    across = rng.uniform(-0.93, 0.93, 160)
    column = outer[[0, -1], 0].mean() + across * np.ptp(outer[:, 0]) / 2
    roots = np.stack([column, np.full(160, -0.6)], axis=1)
    reach = rng.uniform(0.6, 1.05, 160) * (identity.hair_length + 0.8)
    drops = np.stack([across * 0.1 + rng.normal(0, 0.03, 160), reach], axis=1)
    strands = roots[:, None] + np.linspace(0, 1, 8)[:, None] * drops[:, None]
    _comb(canvas, shape, strands, rng.uniform(50, 150, 160), np.asarray(identity.hair) * 0.75)


def hair_in_front(canvas: Canvas, identity: Identity, view: PortraitView, landmarks: Array) -> None:
    """Paints the hair on top of the head, with its shadow on the forehead and its sheen towards the light."""
    rng = np.random.default_rng((identity.texture, 2))
    outer, line = _arcs(identity, landmarks)
    canvas.stroke(smooth(line[3:-3]), (0.5, 0.42, 0.4), width=0.08, opacity=0.6, blur=0.05, tint=True)
    shape = np.concatenate([smooth(outer), smooth(line)[::-1]])
    part = int(identity.parting * (_ARC - 1))
    temple = np.where(rng.random(180) < identity.parting, 0.0, _ARC - 1.0)
    dull = _combed(rng, outer, line, np.full(180, part * 1.0), temple)
    lit = np.clip(12 + 7 * view.light[0], 3, 20) + rng.uniform(-3, 3, 60)
    gleam = _combed(rng, outer, line, lit, lit + np.where(lit < part, -1, 1) * rng.uniform(3, 7, 60))
    tones = np.concatenate([rng.uniform(55, 125, 180), rng.uniform(95, 165, 60)])
    _comb(canvas, shape, np.concatenate([dull, gleam]), tones, np.asarray(identity.hair))


def _arcs(identity: Identity, landmarks: Array) -> tuple[Array, Array]:
    """Outer edge of the hair and hairline, each (25, 2), from the left ear over the top to the right one."""
    middle, half = (landmarks[0, 0] + landmarks[16, 0]) / 2, (landmarks[16, 0] - landmarks[0, 0]) / 2
    angle = np.linspace(0, np.pi, _ARC)
    reach = half + identity.hair_volume * 0.55
    rise = 1.5 + identity.hair_volume
    outer = np.stack([middle - reach * np.cos(angle), 0.15 - rise * np.sin(angle) ** 0.75], axis=1)
    sweep = 0.2 * np.exp(-(((angle / np.pi - identity.parting) / 0.25) ** 2))
    flat = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.7
    line = np.stack([middle - half * 0.97 * flat, 0.2 - (identity.hairline + sweep) * np.sin(angle) ** 0.45], axis=1)
    return outer, line


def _combed(rng: np.random.Generator, outer: Array, line: Array, start: Array, stop: Array) -> Array:
    """(N, 12, 2) strands between two positions on the arc, which sink towards the hairline along their way."""
    way = np.linspace(0, 1, 12)
    near = start + rng.uniform(-1.5, 1.5, start.shape)
    station = np.clip(near[:, None] + (stop - near)[:, None] * way, 0, _ARC - 1)
    low = np.minimum(station.astype(int), _ARC - 2)
    rest = (station - low)[..., None]
    depth = rng.uniform(-0.04, 1.03, (len(start), 1))
    depth = (depth * (1 - 0.3 * (1 - way)) + rng.normal(0, 0.03, depth.shape) * way)[..., None]
    hem, crown = (arc[low] * (1 - rest) + arc[low + 1] * rest for arc in (line, outer))
    return np.asarray(hem * (1 - depth) + crown * depth)


def _comb(canvas: Canvas, shape: Array, strands: Array, tones: Array, colour: Array) -> None:
    """Covers `shape` with hair; strands (N, n, 2) with tones (N,) around 100 give it texture and ragged edges."""
    side = canvas.pixels.shape[:2]
    cover, relief = np.zeros(side, np.uint8), np.full(side, 90, np.uint8)
    thick = max(1, round(0.02 * canvas.unit))
    cv2.fillPoly(cover, [_fixed(canvas, shape)], 255, cv2.LINE_AA, _SHIFT)
    cv2.polylines(cover, list(_fixed(canvas, strands[::2])), False, 255, 1, cv2.LINE_AA, _SHIFT)
    for strand, tone in zip(_fixed(canvas, strands), tones.tolist(), strict=True):
        cv2.polylines(relief, [strand], False, tone, thick, cv2.LINE_AA, _SHIFT)
    soft = 0.010 * canvas.unit
    alpha = cv2.GaussianBlur(cover, (0, 0), soft).astype(np.float32)[..., None] / 255
    shade = (cv2.GaussianBlur(relief, (0, 0), soft).astype(np.float32)[..., None] / 100) ** 1.4
    canvas.pixels += alpha * (shade * colour.astype(np.float32) - canvas.pixels)


def _fixed(canvas: Canvas, landmarks: Array) -> NDArray[np.int32]:
    """Converts face units to OpenCV's fixed-point pixel coordinates."""
    pixels = landmarks @ canvas.to_pixels[:, :2].T + canvas.to_pixels[:, 2]
    return np.asarray(np.rint(pixels * 2**_SHIFT), np.int32)
