"""One face of a frame → a square crop with its landmarks, and the file it is saved in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError, require_choice
from addnet.faces.geometry import Geometry, Landmarks, Matrix, map_landmarks
from addnet.faces.images import MIN_SIDE, ImageArray
from addnet.faces.landmarks import Face
from addnet.faces.tracks import POLICIES, Box
from addnet.faces.videos import Frame

FORMATS = ("jpg", "png")


@dataclass(frozen=True)
class CropSettings:
    """Which frames of a video are sampled, which of their faces are cropped, and how the crops are saved.

    Attributes:
        every: Samples every n-th frame; None to sample `frames` frames instead.
        frames: How many frames are sampled, evenly spaced over the whole video; ignored with `every`.
        policy: `largest` face of each frame, faces of the `longest_track`, or `all`.
        margin: Side of the crop over the longer side of the landmarks' box.
        size: Side of the saved crops in pixels; None keeps the video's own pixels without resampling.
        format: `jpg` or `png`.
        quality: JPEG quality, 1 to 100.
    """

    every: int | None = None
    frames: int | None = 32
    policy: str = "largest"
    margin: float = 1.3
    size: int | None = None
    format: str = "jpg"
    quality: int = 95

    def __post_init__(self) -> None:
        require_choice("prepare.policy", self.policy, POLICIES)
        require_choice("prepare.format", self.format, FORMATS)
        if self.every is None and self.frames is None:
            raise UserError("prepare.every and prepare.frames are both null; set one, such as prepare.frames=32")
        if self.every is not None:
            _require_number("prepare.every", self.every, int, 1, None, "3 samples every third frame")
        if self.frames is not None:
            _require_number("prepare.frames", self.frames, int, 1, None, "32 is usual")
        if self.size is not None:
            _require_number("prepare.size", self.size, int, MIN_SIDE, 4096, "null keeps the video's own pixels")
        _require_number("prepare.margin", self.margin, (int, float), 0.5, 5, "1.3 is usual")
        _require_number("prepare.quality", self.quality, int, 1, 100, "95 is usual")

    def square(self, shape: tuple[int, ...], landmarks: Landmarks) -> tuple[NDArray[np.float64], float]:
        """Centre (x, y) and side of the square around a face, in pixels of the image.

        The square is not rotated, because levelling the eyes is part of training.

        Args:
            shape: (H, W, ...) of the image.
            landmarks: (68, 2) in pixels of the image.
        """
        return Geometry(align=False, crop="face", margin=self.margin).square(shape, landmarks)


@dataclass(frozen=True)
class FaceCrop:
    """A face cropped from a frame.

    Attributes:
        frame: Number of the frame among all that can be decoded, from 0.
        time: When the frame is shown, in seconds; None if the file doesn't say.
        track: Number of the track, in order of appearance in the video, from 0.
        image: (S, S, 3) uint8, RGB.
        face: Landmarks and the landmarker's box in pixels of the crop.
        original_box: (4,) float32, the landmarker's box in pixels of the frame as shown.
    """

    frame: int
    time: float | None
    track: int
    image: ImageArray
    face: Face
    original_box: Box

    @property
    def step(self) -> str:
        """The step of the landmarker that found the face."""
        return self.face.step


def cut_face(frame: Frame, face: Face, track: int, *, settings: CropSettings) -> FaceCrop:
    """Crops the square around a face from its frame.

    The square is aligned to whole pixels, so that nothing is resampled at native size. Parts outside the frame are
    filled by reflection, as in `warp_image`, which keeps the face in the middle. With `settings.size` the square is
    then resized.

    Raises:
        ValueError: The face has no landmarks or no box.
    """
    if face.landmarks is None or face.box is None:
        raise ValueError(f"a face found by step {face.step!r} can't be cropped: it has no landmarks or no box")
    centre, length = settings.square(frame.image.shape, face.landmarks)
    side = max(MIN_SIDE, round(length))
    left, top = (int(value) for value in np.round(centre - (side - 1) / 2))
    move = np.array([[1, 0, -left], [0, 1, -top]], dtype=np.float64)
    square = cv2.warpAffine(frame.image, move, (side, side), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
    image = np.asarray(square, dtype=np.uint8)
    matrix = move
    if settings.size is not None:
        image, matrix = _resized(image, move, settings.size)
    corners = map_landmarks(face.box.reshape(2, 2), matrix).reshape(4)
    found = Face(face.step, map_landmarks(face.landmarks, matrix), corners)
    return FaceCrop(frame.number, frame.time, track, image, found, face.box)


def _resized(image: ImageArray, matrix: Matrix, size: int) -> tuple[ImageArray, Matrix]:
    factor = size / image.shape[0]
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    # pixel centres: x_new = factor · (x_old + ½) − ½
    matrix = matrix * factor + np.array([[0, 0, 1], [0, 0, 1]]) * (factor - 1) / 2
    return np.asarray(cv2.resize(image, (size, size), interpolation=way), dtype=np.uint8), matrix


def crop_name(crop: FaceCrop, settings: CropSettings) -> str:
    """File name within the folder of its video; includes the track if a frame may yield several crops."""
    track = f"_{crop.track}" if settings.policy == "all" else ""
    return f"{crop.frame:06d}{track}.{settings.format}"


def save_crop(crop: FaceCrop, path: Path, settings: CropSettings) -> None:
    """Writes a crop atomically: its file is either complete or absent.

    Raises:
        UserError: The folder doesn't exist or can't be written to, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(_encoded(crop.image, settings))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _encoded(image: ImageArray, settings: CropSettings) -> bytes:
    options = []
    if settings.format == "jpg":
        # 4:4:4: the crop isn't aligned to the video's own grid of subsampled colours
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [cv2.IMWRITE_JPEG_QUALITY, settings.quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(f".{settings.format}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    encoded: NDArray[np.uint8] = np.asarray(data, dtype=np.uint8)
    return encoded.tobytes()


def _require_number(
    option: str, value: Any, kind: type | tuple[type, ...], least: float, most: float | None, remedy: str
) -> None:
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or value < least or (most is not None and value > most) or value != value:
        whole = "whole number" if kind is int else "number"
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UserError(f"{option}={value!r} must be a {whole} {bounds}; {remedy}")
