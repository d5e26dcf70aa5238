"""Computes the 68 landmarks of a person in a view, in face units (see `people`)."""

from __future__ import annotations

import numpy as np

from addnet.data.synthetic.canvas import Array
from addnet.data.synthetic.people import Identity, PortraitView

_HEAD_AXIS = np.array([0.0, 0.6, -0.9])  # the point about which the head turns
_MIRRORED_EYE = [3, 2, 1, 0, 5, 4]


def face_landmarks(identity: Identity, view: PortraitView) -> Array:
    """The landmarks of the turned but upright face, in face units: (68, 2), in dlib's order."""
    solid = np.concatenate(
        [_jaw(identity), _brows(identity), _nose(identity), _eyes(identity, view), _mouth(identity, view)]
    )
    uneven = np.random.default_rng(identity.texture).normal(0, 0.008, solid.shape)
    return turned(solid + uneven, view)


def turned(solid: Array, view: PortraitView) -> Array:
    """Turns landmarks (N, 3) by the view's yaw and pitch and drops the depth: (N, 2)."""
    yaw, pitch = np.radians([view.yaw, view.pitch])
    x, y, z = (solid - _HEAD_AXIS).T
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    flat = np.stack([x * np.cos(yaw) + z * np.sin(yaw), y], axis=1)
    return np.asarray(flat + _HEAD_AXIS[:2])


def pose_matrix(view: PortraitView, size: int) -> Array:
    """(2, 3) matrix from face units to pixels of an image `size` wide; pixel centres are at whole numbers."""
    angle = np.radians(view.roll)
    turn = view.scale * size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = size * np.add(view.shift, (0.5, 0.57)) - 0.5
    return np.column_stack([turn, middle - turn @ _HEAD_AXIS[:2]])


def _jaw(identity: Identity) -> Array:
    along = np.linspace(-1, 1, 17)
    x = np.sign(along) * identity.jaw_width * np.sin(np.abs(along) * np.pi / 2) ** identity.jaw_square
    y = identity.chin * np.cos(along * np.pi / 2).clip(0) ** 1.2
    return np.stack([x, y, -0.9 * np.abs(along) ** 1.5], axis=1)


def _brows(identity: Identity) -> Array:
    x = np.array([-0.93, -0.79, -0.595, -0.40, -0.21])
    y = -0.24 - identity.brow_height - identity.brow_arch * np.array([-0.03, 0.07, 0.10, 0.07, 0.0])
    left = np.stack([x, y, [-0.1, 0.05, 0.1, 0.12, 0.12]], axis=1)
    return np.concatenate([left, left[::-1] * (-1, 1, 1)])


def _nose(identity: Identity) -> Array:
    bridge = np.linspace([0, -0.02, 0.15], [0, identity.nose_length, 0.5], 4)
    across = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    base = np.stack(
        [
            across * identity.nose_width * 0.9,
            identity.nose_length + 0.20 - 0.08 * across**2,
            0.3 - 0.1 * across**2,
        ]
    )
    return np.concatenate([bridge, base.T])


def _eyes(identity: Identity, view: PortraitView) -> Array:
    high, width = identity.eye_height * view.eyes_open, identity.eye_width
    x = width * np.array([-1.0, -0.36, 0.36, 1.0, 0.36, -0.36])
    y = high * np.array([0.0, -1.0, -1.0, 0.1, 0.6, 0.6]) + identity.eye_tilt * np.array([-1, -0.5, 0, 0.3, 0, -0.5])
    left = np.stack([x - 0.5, y, np.array([-0.1, 0, 0, 0, 0, 0])], axis=1)
    return np.concatenate([left, left[_MIRRORED_EYE] * (-1, 1, 1)])


def _mouth(identity: Identity, view: PortraitView) -> Array:
    width = identity.mouth_width * (1 + 0.12 * view.smile)
    upper, lower = identity.lips
    outer = np.array([-1, -0.645, -0.28, 0, 0.28, 0.645, 1, 0.65, 0.29, 0, -0.29, -0.65])
    inner = np.array([-0.84, -0.28, 0, 0.28, 0.84, 0.28, 0, -0.28])
    lift = np.array([0, -0.65, -1, -0.8, -1, -0.65, 0]) * upper
    drop = np.array([0.6, 0.93, 1, 0.93, 0.6]) * lower
    x = np.concatenate([outer, inner])
    sag = (0.02 + 0.07 * view.smile) * (1 - x**2) - 0.05 * view.smile
    open_by = np.concatenate([np.zeros(7), np.ones(5), np.zeros(5), np.ones(3)]) * view.gape * (1 - x**2)
    y = identity.mouth_height + sag + open_by + np.concatenate([lift, drop, np.zeros(8)])
    return np.stack([x * width, y, 0.2 - 0.25 * x**2], axis=1)
