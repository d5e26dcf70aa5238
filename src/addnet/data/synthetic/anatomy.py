"""Who is on a portrait and how it was taken, and the 68 points that follow from the two.

Lengths are in *face units*: the origin lies midway between the eyes, one unit is the distance between the eyes'
centres, x points to the picture's right, y down and z to the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Colour = tuple[float, float, float]

SKIN_TONES = ((0.95, 0.79, 0.70), (0.90, 0.71, 0.58), (0.78, 0.57, 0.43), (0.60, 0.41, 0.30), (0.42, 0.28, 0.21))
HAIR_TONES = ((0.07, 0.06, 0.06), (0.17, 0.11, 0.08), (0.34, 0.22, 0.13), (0.62, 0.47, 0.27), (0.45, 0.44, 0.43))
IRIS_TONES = ((0.20, 0.12, 0.07), (0.33, 0.21, 0.10), (0.28, 0.36, 0.20), (0.30, 0.45, 0.58), (0.40, 0.45, 0.48))

_HEAD_AXIS = np.array([0.0, 0.6, -0.9])  # what the head turns about, in face units
_MIRRORED_EYE = [3, 2, 1, 0, 5, 4]


def mixed_tone(rng: np.random.Generator, tones: tuple[Colour, ...], *, spread: float) -> Colour:
    """Colour between two neighbours of a scale, each channel scattered by the factor `spread`; in [0, 1]."""
    place = rng.uniform(0, len(tones) - 1)
    low = min(int(place), len(tones) - 2)
    mixed = np.asarray(tones[low]) + (place - low) * np.subtract(tones[low + 1], tones[low])
    red, green, blue = np.clip(mixed * rng.normal(1.0, spread, 3), 0.02, 0.98)
    return float(red), float(green), float(blue)


@dataclass(frozen=True)
class Identity:
    """What stays the same on every picture of a person. Lengths in face units, colours RGB in [0, 1]."""

    jaw_width: float
    jaw_square: float
    chin: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    brow_height: float
    brow_arch: float
    brow_thickness: float
    nose_width: float
    nose_length: float
    mouth_height: float
    mouth_width: float
    lips: tuple[float, float]
    skin: Colour
    hair: Colour
    iris: Colour
    lip_red: float
    hair_length: float
    hair_volume: float
    hairline: float
    parting: float
    stubble: float
    grain: float
    texture: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Identity:
        """Draws a person; equal generators draw equal persons."""
        skin = mixed_tone(rng, SKIN_TONES, spread=0.02)
        hair = mixed_tone(rng, HAIR_TONES if sum(skin) > 1.5 else HAIR_TONES[:2], spread=0.03)
        iris = mixed_tone(rng, IRIS_TONES if sum(skin) > 1.7 else IRIS_TONES[:2], spread=0.05)
        return cls(
            jaw_width=rng.uniform(1.08, 1.24),
            jaw_square=rng.uniform(0.60, 0.80),
            chin=rng.uniform(1.80, 2.02),
            eye_width=rng.uniform(0.185, 0.225),
            eye_height=rng.uniform(0.065, 0.095),
            eye_tilt=rng.uniform(-0.02, 0.04),
            brow_height=rng.uniform(-0.04, 0.05),
            brow_arch=rng.uniform(0.6, 1.3),
            brow_thickness=rng.uniform(0.05, 0.11),
            nose_width=rng.uniform(0.20, 0.30),
            nose_length=rng.uniform(0.53, 0.66),
            mouth_height=rng.uniform(1.04, 1.16),
            mouth_width=rng.uniform(0.38, 0.52),
            lips=(rng.uniform(0.07, 0.13), rng.uniform(0.11, 0.18)),
            skin=skin,
            hair=hair,
            iris=iris,
            lip_red=rng.uniform(0.1, 0.5),
            hair_length=float(rng.choice([0.3, 0.5, 1.4, 2.4])),
            hair_volume=rng.uniform(0.10, 0.32),
            hairline=rng.uniform(0.78, 1.2),
            parting=rng.uniform(0.15, 0.85),
            stubble=max(0.0, rng.uniform(-0.5, 0.5)),
            grain=rng.uniform(0.03, 0.05),
            texture=int(rng.integers(2**31)),
        )


@dataclass(frozen=True)
class View:
    """What differs between the pictures of one person. Angles in degrees, lengths as fractions of the side."""

    roll: float
    yaw: float
    pitch: float
    scale: float
    shift: tuple[float, float]
    light: tuple[float, float, float]
    ambient: float
    exposure: float
    warmth: float
    smile: float
    gape: float
    eyes_open: float
    gaze: float
    noise: float
    scene: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> View:
        """Draws a view: near-frontal, rolled by up to 15 degrees, lit from above; `noise` is in 8-bit levels."""
        return cls(
            roll=float(np.clip(rng.normal(0, 6), -15, 15)),
            yaw=rng.uniform(-12, 12),
            pitch=rng.uniform(-6, 6),
            scale=rng.uniform(0.262, 0.285),
            shift=(rng.uniform(-0.03, 0.03), rng.uniform(-0.02, 0.02)),
            light=(rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.1), 1.0),
            ambient=rng.uniform(0.25, 0.5),
            exposure=rng.uniform(0.65, 1.12),
            warmth=rng.uniform(-0.06, 0.06),
            smile=rng.uniform(0.0, 1.0),
            gape=max(0.0, rng.uniform(-0.15, 0.12)),
            eyes_open=rng.uniform(0.8, 1.15),
            gaze=rng.uniform(-0.25, 0.25),
            noise=rng.uniform(1.0, 6.5),
            scene=int(rng.integers(2**31)),
        )


def acting_like(played: View, own: View) -> View:
    """The own pose and background, but the light and the expression of another view, as a face generator gives them."""
    return replace(
        own,
        light=played.light,
        ambient=played.ambient,
        smile=played.smile,
        gape=played.gape,
        eyes_open=played.eyes_open,
        gaze=played.gaze,
    )


def face_points(identity: Identity, view: View) -> NDArray[np.float64]:
    """The 68 points of the turned face, upright and in face units: (68, 2), in dlib's order."""
    solid = np.concatenate([_jaw(identity), _brows(identity), _nose(identity), _eyes(identity, view), _mouth(identity, view)])
    uneven = np.random.default_rng(identity.texture).normal(0, 0.008, solid.shape)
    return turned(solid + uneven, view)


def turned(solid: NDArray[np.float64], view: View) -> NDArray[np.float64]:
    """Turns points (N, 3) by the view's yaw and pitch and drops the depth: (N, 2)."""
    yaw, pitch = np.radians([view.yaw, view.pitch])
    x, y, z = (solid - _HEAD_AXIS).T
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    return np.stack([x * np.cos(yaw) + z * np.sin(yaw), y], axis=1) + _HEAD_AXIS[:2]


def pose_matrix(view: View, size: int) -> NDArray[np.float64]:
    """Matrix (2, 3) from face units to pixels of a picture with the side `size`; pixel centres are whole numbers."""
    angle = np.radians(view.roll)
    turn = view.scale * size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = size * np.add(view.shift, (0.5, 0.57)) - 0.5
    return np.column_stack([turn, middle - turn @ _HEAD_AXIS[:2]])


def _jaw(identity: Identity) -> NDArray[np.float64]:
    along = np.linspace(-1, 1, 17)
    x = np.sign(along) * identity.jaw_width * np.sin(np.abs(along) * np.pi / 2) ** identity.jaw_square
    y = identity.chin * np.cos(along * np.pi / 2).clip(0) ** 1.2
    return np.stack([x, y, -0.9 * np.abs(along) ** 1.5], axis=1)


def _brows(identity: Identity) -> NDArray[np.float64]:
    x = np.array([-0.93, -0.79, -0.595, -0.40, -0.21])
    y = -0.24 - identity.brow_height - identity.brow_arch * np.array([-0.03, 0.07, 0.10, 0.07, 0.0])
    left = np.stack([x, y, [-0.1, 0.05, 0.1, 0.12, 0.12]], axis=1)
    return np.concatenate([left, left[::-1] * (-1, 1, 1)])


def _nose(identity: Identity) -> NDArray[np.float64]:
    bridge = np.linspace([0, -0.02, 0.15], [0, identity.nose_length, 0.5], 4)
    across = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    base = np.stack([across * identity.nose_width * 0.9, identity.nose_length + 0.20 - 0.08 * across**2, 0.3 - 0.1 * across**2])
    return np.concatenate([bridge, base.T])


def _eyes(identity: Identity, view: View) -> NDArray[np.float64]:
    high, width = identity.eye_height * view.eyes_open, identity.eye_width
    x = width * np.array([-1.0, -0.36, 0.36, 1.0, 0.36, -0.36])
    y = high * np.array([0.0, -1.0, -1.0, 0.1, 0.6, 0.6]) + identity.eye_tilt * np.array([-1, -0.5, 0, 0.3, 0, -0.5])
    left = np.stack([x - 0.5, y, np.array([-0.1, 0, 0, 0, 0, 0])], axis=1)
    return np.concatenate([left, left[_MIRRORED_EYE] * (-1, 1, 1)])


def _mouth(identity: Identity, view: View) -> NDArray[np.float64]:
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
