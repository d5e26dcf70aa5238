"""Draws a stylised portrait together with its true 68 landmarks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.synthetic.anatomy import face_landmarks, pose_matrix, turned
from addnet.data.synthetic.canvas import Array, Canvas, ellipse, shifted, smooth
from addnet.data.synthetic.features import paint_brows, paint_eyes, paint_mouth, paint_nose
from addnet.data.synthetic.hair import hair_behind, hair_in_front
from addnet.data.synthetic.people import Identity, PortraitView
from addnet.data.synthetic.scenery import background
from addnet.data.synthetic.skin import grid_to_face, lit_skin

ImageArray = NDArray[np.uint8]
Landmarks = NDArray[np.float32]

_OVERSAMPLING = 2


def draw_portrait(identity: Identity, view: PortraitView, *, size: int) -> tuple[ImageArray, Landmarks]:
    """Draws one person in one view, without the camera's noise (see `develop`).

    Args:
        identity: The person to draw.
        view: Pose, light, expression and background.
        size: Side of the image in pixels.

    Returns:
        The image, (size, size, 3) uint8 RGB, and its landmarks, (68, 2) float32 pixels in dlib's order.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> image, landmarks = draw_portrait(Identity.draw(rng), PortraitView.draw(rng), size=96)
        >>> image.shape, landmarks.shape
        ((96, 96, 3), (68, 2))
    """
    side = size * _OVERSAMPLING
    landmarks = face_landmarks(identity, view)
    canvas = Canvas(background(view, side), pose_matrix(view, side))
    skin = _skin_on_canvas(identity, view, landmarks, canvas)
    hair_behind(canvas, identity, landmarks)
    _behind_face(canvas, identity, view, landmarks)
    canvas.fill(_head_outline(landmarks), skin, blur=0.008)
    paint_eyes(canvas, identity, view, landmarks)
    paint_brows(canvas, identity, landmarks)
    paint_nose(canvas, landmarks)
    paint_mouth(canvas, identity, landmarks)
    hair_in_front(canvas, identity, view, landmarks)
    graded = canvas.pixels * (view.exposure * np.array([1 + view.warmth, 1, 1 - view.warmth], np.float32))
    small = cv2.resize(graded, (size, size), interpolation=cv2.INTER_AREA)
    pose = pose_matrix(view, size)
    in_pixels = np.asarray(landmarks @ pose[:, :2].T + pose[:, 2], np.float32)
    return np.asarray(np.rint(small.clip(0, 1) * 255), np.uint8), in_pixels


def develop(image: ImageArray, view: PortraitView) -> ImageArray:
    """Adds the camera's noise, which depends only on the view: the last step for real and fake images alike."""
    rng = np.random.default_rng((view.scene, 1))
    noisy = image + np.float32(view.noise) * rng.standard_normal(image.shape, np.float32)
    return np.asarray(np.rint(noisy.clip(0, 255)), np.uint8)


def _skin_on_canvas(identity: Identity, view: PortraitView, landmarks: Array, canvas: Canvas) -> NDArray[np.float32]:
    to_grid = np.linalg.inv(np.vstack([grid_to_face(), [0, 0, 1]]))
    from_face = np.linalg.inv(np.vstack([canvas.to_pixels, [0, 0, 1]]))
    side = canvas.pixels.shape[0]
    skin = cv2.warpAffine(
        lit_skin(identity, view, landmarks),
        (to_grid @ from_face)[:2],
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(skin, np.float32)


def _head_outline(landmarks: Array) -> Array:
    middle, half = (landmarks[0] + landmarks[16]) / 2, (landmarks[16, 0] - landmarks[0, 0]) / 2
    angle = np.linspace(0, np.pi, 12)[1:-1]
    skull = middle + np.stack([half * 0.99 * np.cos(angle), -1.35 * np.sin(angle)], axis=1)
    return smooth(np.concatenate([landmarks[:17], skull]), closed=True)


def _behind_face(canvas: Canvas, identity: Identity, view: PortraitView, landmarks: Array) -> None:
    """Paints neck, clothes and ears."""
    chin, tone = landmarks[8], np.asarray(identity.skin)
    broad = identity.jaw_width / 1.15
    neck = smooth(_mirrored([(0.62, -0.9), (0.62, 0.3), (0.85, 1.2)]) * (broad, 1) + chin, closed=True)
    canvas.fill(neck, tone * (0.62 + 0.2 * view.ambient), blur=0.01)
    canvas.fill(ellipse(shifted(chin, 0, -0.12), (0.75, 0.32)), tone * 0.32, opacity=0.75, blur=0.1, clip=neck)
    coat = smooth(_mirrored([(0, 0.62), (0.3, 0.5), (0.55, 0.22), (0.9, 0.3), (2.6, 0.75), (3, 3)]) + chin, closed=True)
    canvas.fill(coat, np.random.default_rng((identity.texture, 4)).uniform(0.08, 0.6, 3), blur=0.01)
    for side in (-1, 1) if identity.hair_length < 1 else ():
        ear = turned(np.array([[side * (identity.jaw_width + 0.05), 0.12, -0.85]]), view)[0]
        canvas.fill(ellipse(ear, (0.12, 0.27)), tone * (0.80, 0.72, 0.70), blur=0.01)
        canvas.fill(ellipse(ear, (0.05, 0.15)), tone * 0.5, opacity=0.6, blur=0.03)


def _mirrored(right_half: list[tuple[float, float]]) -> Array:
    """The closed outline of a symmetric shape, from its right half."""
    half = np.asarray(right_half)
    return np.concatenate([half, half[::-1] * (-1, 1)])
