"""The person in a portrait (`Identity`) and how it was taken (`PortraitView`).

Lengths are in *face units*: the origin is midway between the eyes, one unit is the distance between their centres, x
points to the image's right, y down and z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[float, float, float]

SKIN_TONES = (
    (0.92, 0.76, 0.67),
    (0.90, 0.71, 0.58),
    (0.78, 0.57, 0.43),
    (0.60, 0.41, 0.30),
    (0.42, 0.28, 0.21),
)
HAIR_TONES = (
    (0.07, 0.06, 0.06),
    (0.17, 0.11, 0.08),
    (0.34, 0.22, 0.13),
    (0.62, 0.47, 0.27),
    (0.45, 0.44, 0.43),
)
IRIS_TONES = (
    (0.20, 0.12, 0.07),
    (0.33, 0.21, 0.10),
    (0.28, 0.36, 0.20),
    (0.30, 0.45, 0.58),
    (0.40, 0.45, 0.48),
)


def _mixed(rng: np.random.Generator, tones: tuple[Colour, ...], *, spread: float) -> Colour:
    """A random colour between two neighbours of a scale, each channel scattered by the factor `spread`; in [0, 1]."""
    place = rng.uniform(0, len(tones) - 1)
    low = min(int(place), len(tones) - 2)
    mixed = np.asarray(tones[low]) + (place - low) * np.subtract(tones[low + 1], tones[low])
    red, green, blue = np.clip(mixed * rng.normal(1.0, spread, 3), 0.02, 0.98)
    return float(red), float(green), float(blue)


@dataclass(frozen=True)
class Identity:
    """The features that are the same in every image of a person. Lengths in face units, colours RGB in [0, 1]."""

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
        """Draws a random person; the same state of the generator yields the same person."""
        skin = _mixed(rng, SKIN_TONES, spread=0.02)
        hair = _mixed(rng, HAIR_TONES if sum(skin) > 1.5 else HAIR_TONES[:2], spread=0.03)
        iris = _mixed(rng, IRIS_TONES if sum(skin) > 1.7 else IRIS_TONES[:2], spread=0.05)
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
            grain=rng.uniform(0.035, 0.057),
            texture=int(rng.integers(2**31)),
        )


@dataclass(frozen=True)
class PortraitView:
    """The properties that differ between images of one person. Angles in degrees, lengths as fractions of the side."""

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
    def draw(cls, rng: np.random.Generator) -> PortraitView:
        """Draws a random view: near-frontal, rolled by up to 15 degrees, lit from above."""
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
            noise=rng.uniform(1.0, 8.5),
            scene=int(rng.integers(2**31)),
        )


def acting_like(played: PortraitView, own: PortraitView) -> PortraitView:
    """The view `own` with the light and expression of `played`, as a face generator copies them."""
    return replace(
        own,
        light=played.light,
        ambient=played.ambient,
        smile=played.smile,
        gape=played.gape,
        eyes_open=played.eyes_open,
        gaze=played.gaze,
    )
