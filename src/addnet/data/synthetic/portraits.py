"""Draws a stylised portrait together with its true 68 landmarks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.synthetic.anatomy import Identity, Points, View, face_points, pose_matrix, turned
from addnet.data.synthetic.canvas import Canvas, ellipse, smooth
from addnet.data.synthetic.hair import hair_behind, hair_in_front
from addnet.data.synthetic.skin import grid_to_face, lit_skin

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

_OVERSAMPLING = 2


def draw_portrait(identity: Identity, view: View, *, size: int) -> tuple[Picture, Points]:
    """Draws one person in one view, without the camera's noise (see `develop`).

    Args:
        identity: Who is drawn.
        view: Pose, light, expression and background.
        size: Side of the picture in pixels.

    Returns:
        The picture, (size, size, 3) uint8 RGB, and its landmarks, (68, 2) float32 pixels in dlib's order.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> picture, points = draw_portrait(Identity.draw(rng), View.draw(rng), size=96)
        >>> picture.shape, points.shape
        ((96, 96, 3), (68, 2))
    """
    side = size * _OVERSAMPLING
    points = face_points(identity, view)
    canvas = Canvas(_background(view, side), pose_matrix(view, side))
    skin = _skin_on_canvas(identity, view, points, canvas)
    hair_behind(canvas, identity, points)
    _behind_face(canvas, identity, view, points)
    canvas.fill(_head_outline(points), skin, blur=0.008)
    _eyes(canvas, identity, view, points)
    _brows(canvas, identity, points)
    _nose(canvas, points)
    _mouth(canvas, identity, points)
    hair_in_front(canvas, identity, view, points)
    graded = canvas.pixels * np.float32(view.exposure) * np.array([1 + view.warmth, 1, 1 - view.warmth], np.float32)
    small = cv2.resize(graded, (size, size), interpolation=cv2.INTER_AREA)
    pose = pose_matrix(view, size)
    landmarks = (points @ pose[:, :2].T + pose[:, 2]).astype(np.float32)
    return np.rint(small.clip(0, 1) * 255).astype(np.uint8), landmarks


def develop(picture: Picture, view: View) -> Picture:
    """Adds the noise of the camera, a function of the view alone: the last step of real and fake pictures alike."""
    rng = np.random.default_rng((view.scene, 1))
    noisy = picture + rng.normal(0, view.noise, picture.shape)
    return np.rint(noisy.clip(0, 255)).astype(np.uint8)


def _background(view: View, side: int) -> NDArray[np.float32]:
    """A room or a garden, more or less out of focus: (side, side, 3) float32 RGB in [0, 1]."""
    rng = np.random.default_rng((view.scene, 0))
    half = side // 2
    base = rng.uniform(0.2, 0.8) * rng.uniform(0.88, 1.12, 3)
    coarse = base * rng.normal(1, 0.18, (5, 5, 1)) + rng.normal(0, 0.015, (5, 5, 3))
    room = cv2.resize(coarse.astype(np.float32), (half, half), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(1, 7))):
        left, top, right, bottom = rng.integers(-half // 4, half + half // 4, 4).tolist()
        colour = base * rng.uniform(0.5, 1.5) * rng.uniform(0.85, 1.15, 3)
        cv2.rectangle(room, (left, top), (right, bottom), colour.tolist(), -1)
    room = cv2.GaussianBlur(room, (0, 0), half * rng.uniform(0.004, 0.04))
    room *= 1 + _pattern(rng, half) * (0.22 * rng.uniform() ** 2)
    return np.asarray(cv2.resize(room, (side, side), interpolation=cv2.INTER_LINEAR), np.float32).clip(0.02, 0.98)


def _pattern(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Leaves, plaster or wallpaper: (side, side, 1) float32 with mean 0 and a deviation about 1."""
    pattern = np.zeros((side, side), np.float32)
    for coarseness in (1, 2, 4):
        cells = int(side * rng.uniform(0.4, 0.7)) // coarseness
        noise = rng.standard_normal((cells, cells), np.float32)
        pattern += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        pattern *= 0.4
        row, column = np.mgrid[:side, :side] * (rng.uniform(20, 90) / side)
        stripes = np.sign(np.sin(column + rng.uniform(-0.2, 0.2) * row))
        pattern += stripes + rng.integers(0, 2) * np.sign(np.sin(row))
    return pattern[..., None]


def _skin_on_canvas(identity: Identity, view: View, points: Array, canvas: Canvas) -> NDArray[np.float32]:
    to_grid = np.linalg.inv(np.vstack([grid_to_face(), [0, 0, 1]]))
    from_face = np.linalg.inv(np.vstack([canvas.to_pixels, [0, 0, 1]]))
    side = canvas.pixels.shape[0]
    skin = cv2.warpAffine(
        lit_skin(identity, view, points),
        (to_grid @ from_face)[:2],
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(skin, np.float32)


def _head_outline(points: Array) -> Array:
    middle, half = (points[0] + points[16]) / 2, (points[16, 0] - points[0, 0]) / 2
    angle = np.linspace(0, np.pi, 12)[1:-1]
    skull = middle + np.stack([half * 0.99 * np.cos(angle), -1.35 * np.sin(angle)], axis=1)
    return smooth(np.concatenate([points[:17], skull]), closed=True)


def _behind_face(canvas: Canvas, identity: Identity, view: View, points: Array) -> None:
    """Neck, clothes and ears."""
    chin, tone = points[8], np.asarray(identity.skin)
    broad = identity.jaw_width / 1.15
    neck = smooth(_mirrored([(0.62, -0.9), (0.62, 0.3), (0.85, 1.2)]) * (broad, 1) + chin, closed=True)
    canvas.fill(neck, tone * (0.62 + 0.2 * view.ambient), blur=0.01)
    canvas.fill(ellipse(chin + (0, -0.12), (0.75, 0.32)), tone * 0.32, opacity=0.75, blur=0.1, clip=neck)
    coat = smooth(_mirrored([(0, 0.62), (0.3, 0.5), (0.55, 0.22), (0.9, 0.3), (2.6, 0.75), (3, 3)]) + chin, closed=True)
    canvas.fill(coat, np.random.default_rng((identity.texture, 4)).uniform(0.08, 0.6, 3), blur=0.01)
    for side in (-1, 1) if identity.hair_length < 1 else ():
        ear = turned(np.array([[side * (identity.jaw_width + 0.05), 0.12, -0.85]]), view)[0]
        canvas.fill(ellipse(ear, (0.12, 0.27)), tone * (0.80, 0.72, 0.70), blur=0.01)
        canvas.fill(ellipse(ear, (0.05, 0.15)), tone * 0.5, opacity=0.6, blur=0.03)


def _mirrored(right_half: list[tuple[float, float]]) -> Array:
    """Closed outline from its right half."""
    half = np.asarray(right_half)
    return np.concatenate([half, half[::-1] * (-1, 1)])


def _eyes(canvas: Canvas, identity: Identity, view: View, points: Array) -> None:
    lash = np.asarray(identity.hair) * 0.35
    for start, outer in ((36, 0), (42, 3)):
        eye = points[start : start + 6]
        lids = smooth(eye, closed=True)
        upper, lower = smooth(eye[:4]), smooth(eye[[3, 4, 5, 0]])
        centre = eye.mean(axis=0) + (view.gaze * identity.eye_width, -0.006)
        canvas.fill(lids, (0.80, 0.77, 0.75), blur=0.006)
        canvas.fill(ellipse(centre, (0.098, 0.098)), np.asarray(identity.iris) * 0.55, blur=0.008, clip=lids)
        canvas.fill(ellipse(centre, (0.078, 0.078)), identity.iris, blur=0.01, clip=lids)
        canvas.fill(ellipse(centre, (0.038, 0.038)), (0.02, 0.02, 0.02), blur=0.006, clip=lids)
        canvas.stroke(upper + (0, 0.02), (0.2, 0.15, 0.13), width=0.05, opacity=0.5, blur=0.02)
        canvas.stroke(lower, (0.35, 0.18, 0.15), width=0.015, opacity=0.45, blur=0.01)
        canvas.stroke(upper, lash, width=0.032, opacity=0.95, blur=0.006)
        tail = eye[outer] + (np.sign(outer - 1) * 0.05, -0.015)
        canvas.stroke(np.stack([eye[outer], tail]), lash, width=0.025, opacity=0.7, blur=0.008)
        canvas.stroke(upper + (0, -0.065), (0.3, 0.2, 0.18), width=0.02, opacity=0.4, blur=0.015)
        glint = centre + (0.03 * np.sign(view.light[0]), -0.03)
        canvas.fill(ellipse(glint, (0.018, 0.018)), (1, 1, 1), opacity=0.9, blur=0.004, clip=lids)


def _brows(canvas: Canvas, identity: Identity, points: Array) -> None:
    rng = np.random.default_rng((identity.texture, 1))
    colour = np.asarray(identity.hair) * 0.6 + np.asarray(identity.skin) * 0.08
    for brow in (points[17:22], points[22:27][::-1]):
        along = smooth(brow) + (0, 0.03)
        half = identity.brow_thickness * 0.5 * np.linspace(0.35, 1, len(along))[:, None] * (0, 1)
        canvas.fill(np.concatenate([along - half, (along + half)[::-1]]), colour, opacity=0.8, blur=0.018)
        for _ in range(14):
            root = along[int(rng.integers(len(along)))] + rng.uniform(-0.5, 0.5) * identity.brow_thickness * np.array([0, 1])
            lean = np.sign(brow[0, 0] - brow[-1, 0]) * rng.uniform(0.03, 0.08)
            canvas.stroke(np.stack([root, root + (lean, -0.03)]), colour * rng.uniform(0.5, 1.3), width=0.012, opacity=0.6)


def _nose(canvas: Canvas, points: Array) -> None:
    for wing, base in ((31, 32), (35, 34)):
        hole = (points[wing] * 0.4 + points[base] * 0.6) + (0, -0.035)
        canvas.fill(ellipse(hole, (0.05, 0.026)), (0.12, 0.05, 0.04), opacity=0.75, blur=0.014)
        side = np.sign(points[wing, 0] - points[33, 0])
        fold = points[wing] + np.array([(0.0, -0.13), (0.05 * side, -0.05), (0.03 * side, 0.03)])
        canvas.stroke(smooth(fold), (0.5, 0.35, 0.3), width=0.02, opacity=0.55, blur=0.02, tint=True)


def _mouth(canvas: Canvas, identity: Identity, points: Array) -> None:
    outer, inner = points[48:60], points[60:68]
    tint = np.array([0.90, 0.68, 0.72]) * (1, 1 - 0.5 * identity.lip_red, 1 - 0.35 * identity.lip_red)
    upper = np.concatenate([smooth(outer[:7]), smooth(inner[:5])[::-1]])
    lower = np.concatenate([smooth(np.concatenate([outer[6:], outer[:1]])), smooth(inner[[0, 7, 6, 5, 4]])])
    canvas.fill(upper, tint * 0.84, blur=0.015, tint=True)
    canvas.fill(lower, tint, blur=0.015, tint=True)
    opening = smooth(inner, closed=True)
    canvas.fill(opening, (0.16, 0.05, 0.05), blur=0.006)
    teeth = inner[:5].mean(axis=0) + (0, 0.02)
    canvas.fill(ellipse(teeth, (0.26, 0.045)), (0.82, 0.79, 0.74), blur=0.01, clip=opening)
    line = smooth(np.concatenate([outer[:1], inner[:5], outer[6:7]]))
    canvas.stroke(line, (0.25, 0.10, 0.09), width=0.022, opacity=0.8, blur=0.01)
    canvas.fill(ellipse(outer[9] + (0, -0.08), (0.14, 0.025)), (1.0, 0.9, 0.88), opacity=0.22, blur=0.025)
