"""Paints eyes, brows, nose and mouth over the lit skin."""

from __future__ import annotations

import numpy as np

from addnet.data.synthetic.canvas import Array, Canvas, ellipse, shifted, smooth
from addnet.data.synthetic.people import Identity, PortraitView


def paint_eyes(canvas: Canvas, identity: Identity, view: PortraitView, landmarks: Array) -> None:
    """Paints both eyes between their lids, landmarks 36-47."""
    for start, outer in ((36, 0), (42, 3)):
        eye = landmarks[start : start + 6]
        lids = smooth(eye, closed=True)
        centre = shifted(eye.mean(axis=0), view.gaze * identity.eye_width, -0.006)
        glint = shifted(centre, 0.03 * np.sign(view.light[0]), -0.03)
        canvas.fill(lids, (0.80, 0.77, 0.75), blur=0.006)
        for radius, colour, blur in (
            (0.098, np.asarray(identity.iris) * 0.55, 0.008),
            (0.078, np.asarray(identity.iris), 0.01),
            (0.038, np.full(3, 0.02), 0.006),
        ):
            canvas.fill(ellipse(centre, (radius, radius)), colour, blur=blur, clip=lids)
        _paint_lids(canvas, identity, eye, outer)
        canvas.fill(ellipse(glint, (0.018, 0.018)), (1, 1, 1), opacity=0.9, blur=0.004, clip=lids)


def _paint_lids(canvas: Canvas, identity: Identity, eye: Array, outer: int) -> None:
    """Paints lashes, shadow and crease of the upper lid, and the rim of the lower one.

    `outer` is the number of the corner of the eye next to the temple, 0 or 3.
    """
    lash = np.asarray(identity.hair) * 0.35
    upper, lower = smooth(eye[:4]), smooth(eye[[3, 4, 5, 0]])
    tail = np.stack([eye[outer], shifted(eye[outer], -0.05 if outer == 0 else 0.05, -0.015)])
    canvas.stroke(shifted(upper, 0, 0.02), (0.2, 0.15, 0.13), width=0.05, opacity=0.5, blur=0.02)
    canvas.stroke(lower, (0.35, 0.18, 0.15), width=0.015, opacity=0.45, blur=0.01)
    canvas.stroke(upper, lash, width=0.032, opacity=0.95, blur=0.006)
    canvas.stroke(tail, lash, width=0.025, opacity=0.7, blur=0.008)
    canvas.stroke(shifted(upper, 0, -0.065), (0.3, 0.2, 0.18), width=0.02, opacity=0.4, blur=0.015)


def paint_brows(canvas: Canvas, identity: Identity, landmarks: Array) -> None:
    """Paints the brows below landmarks 17-26, which are on the upper edge of the brows in dlib's convention."""
    rng = np.random.default_rng((identity.texture, 1))
    colour = np.asarray(identity.hair) * 0.6 + np.asarray(identity.skin) * 0.08
    thick = identity.brow_thickness
    for brow in (landmarks[17:22], landmarks[22:27][::-1]):
        along = shifted(smooth(brow), 0, 0.03)
        half = 0.5 * thick * np.linspace(0.35, 1, len(along))[:, None] * (0, 1)
        canvas.fill(np.concatenate([along - half, (along + half)[::-1]]), colour, opacity=0.8, blur=0.018)
        lean = 0.08 * np.sign(brow[0, 0] - brow[-1, 0])
        for root in along[rng.integers(len(along), size=14)]:
            low = shifted(root, 0, rng.uniform(-0.5, 0.5) * thick)
            hair = np.stack([low, shifted(low, lean * rng.uniform(0.4, 1), -0.03)])
            canvas.stroke(hair, colour * rng.uniform(0.5, 1.3), width=0.012, opacity=0.6)


def paint_nose(canvas: Canvas, landmarks: Array) -> None:
    """Paints nostrils and the folds next to them, landmarks 31-35; the rest of the nose is light and shadow."""
    for wing, base in ((31, 32), (35, 34)):
        hole = shifted(landmarks[wing] * 0.4 + landmarks[base] * 0.6, 0, -0.035)
        side = np.sign(landmarks[wing, 0] - landmarks[33, 0])
        fold = landmarks[wing] + np.array([(0.0, -0.13), (0.05 * side, -0.05), (0.03 * side, 0.03)])
        canvas.fill(ellipse(hole, (0.05, 0.026)), (0.12, 0.05, 0.04), opacity=0.75, blur=0.014)
        canvas.stroke(smooth(fold), (0.5, 0.35, 0.3), width=0.02, opacity=0.55, blur=0.02, tint=True)


def paint_mouth(canvas: Canvas, identity: Identity, landmarks: Array) -> None:
    """Tints the lips, landmarks 48-59, and opens the mouth between landmarks 60-67."""
    outer, inner = landmarks[48:60], landmarks[60:68]
    tint = np.array([0.90, 0.68, 0.72]) * (1, 1 - 0.5 * identity.lip_red, 1 - 0.35 * identity.lip_red)
    upper = np.concatenate([smooth(outer[:7]), smooth(inner[:5])[::-1]])
    lower = np.concatenate([smooth(outer[[6, 7, 8, 9, 10, 11, 0]]), smooth(inner[[0, 7, 6, 5, 4]])])
    canvas.fill(upper, tint * 0.84, blur=0.015, tint=True)
    canvas.fill(lower, tint, blur=0.015, tint=True)
    opening = smooth(inner, closed=True)
    canvas.fill(opening, (0.16, 0.05, 0.05), blur=0.006)
    teeth = ellipse(shifted(inner[:5].mean(axis=0), 0, 0.02), (0.26, 0.045))
    canvas.fill(teeth, (0.82, 0.79, 0.74), blur=0.01, clip=opening)
    line = smooth(np.concatenate([outer[:1], inner[:5], outer[6:7]]))
    canvas.stroke(line, (0.25, 0.10, 0.09), width=0.022, opacity=0.8, blur=0.01)
    shine = ellipse(shifted(outer[9], 0, -0.08), (0.14, 0.025))
    canvas.fill(shine, (1.0, 0.9, 0.88), opacity=0.22, blur=0.025)
