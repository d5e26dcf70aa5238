"""An uploaded file → the inputs of the network. Runs in a separate process that opens untrusted files. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from addnet.errors import UserError
from addnet.faces.decoding import measured
from addnet.faces.formats import VIDEO, kind_of
from addnet.faces.images import ImageArray, check_image
from addnet.inference.preprocessing import FaceView, Preprocessing
from addnet.inference.videos import AboutVideo, FrameFace, VideoSettings, faces_and_about
from addnet.pool import PoolJob
from addnet.untrusted.limits import Limits as Bounds

_MOST = 640  # pixels of the longer side of the image as it is shown
_NICE = 10  # added niceness: the server and the network have priority


@dataclass(frozen=True)
class UploadLimits:
    """Limits on uploads.

    Attributes:
        max_mb: Largest size of a file, in MB.
        max_megapixels: Largest size of an image, in megapixels.
        max_seconds: Longest duration of a video, in seconds.
        max_gigapixels: Largest size of a video, frames × pixels per frame, in gigapixels.
        max_work: Most seconds of work on a file before it is cancelled.
        frames: Number of frames of a video that are examined, evenly spaced.

    Raises:
        UserError: A value is not above 0.
    """

    max_mb: int = 50
    max_megapixels: float = 40
    max_seconds: float = 60
    max_gigapixels: float = 16
    max_work: float = 120
    frames: int = 32

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise UserError(f"limits.{name}={value} must be above 0")


@dataclass(frozen=True)
class ImageFaces:
    """An image and its faces.

    Attributes:
        shown: The image for display, (h, w, 3) uint8 RGB, at most 640 pixels a side.
        factor: Factor by which it was shrunk.
        seen: Its faces as the network sees them.
    """

    shown: ImageArray
    factor: float
    seen: list[FaceView]


def job_of(
    preprocessing: Preprocessing, limits: UploadLimits
) -> PoolJob[Path, Iterable[ImageFaces | FrameFace | AboutVideo]]:
    """Returns the job of the processes that read uploads, for the pool."""
    function = partial(faces_of, preprocessing=preprocessing, limits=limits)
    bounds = Bounds(seconds=limits.max_work)
    return PoolJob.of(function, partial(_get_ready, preprocessing), limits=bounds)


def faces_of(
    path: Path, *, preprocessing: Preprocessing, limits: UploadLimits
) -> Iterator[ImageFaces | FrameFace | AboutVideo]:
    """Yields the faces of a file: one `ImageFaces` for an image, the items of `faces_and_about` for a video.

    Raises:
        UserError: The file can't be read, or is larger or longer than the limits allow.
    """
    try:
        yield from _faces_of(path, preprocessing, limits)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}") from error


def _faces_of(
    path: Path, preprocessing: Preprocessing, limits: UploadLimits
) -> Iterator[ImageFaces | FrameFace | AboutVideo]:
    if (size := path.stat().st_size) > limits.max_mb << 20:
        raise UserError(f"file of {size / 2**20:.0f} MB; at most {limits.max_mb} MB are allowed")
    if is_video(path):
        _require_short(path, limits)
        yield from faces_and_about(path, preprocessing, VideoSettings(frames=limits.frames))
        return
    image = check_image(path)
    if (pixels := image.shape[0] * image.shape[1]) > limits.max_megapixels * 1e6:
        raise UserError(f"image of {pixels / 1e6:.0f} megapixels; at most {limits.max_megapixels:g} are allowed")
    shown, factor = _shrunk(image)
    yield ImageFaces(shown, factor, preprocessing.of_image(image))


def is_video(path: Path) -> bool:
    """Whether a file is read as a video."""
    return kind_of(path) == VIDEO


def _require_short(path: Path, limits: UploadLimits) -> None:
    """Refuses a video that is too long or too large, before any frame is decoded."""
    video = measured(path)
    if video.seconds > limits.max_seconds:
        raise UserError(f"video of {video.seconds:.0f} seconds; at most {limits.max_seconds:g} are allowed")
    if video.pixels > limits.max_gigapixels * 1e9:
        raise UserError(
            f"video of {video.frames:,} frames of {video.width}×{video.height} pixels, {video.pixels / 1e9:.0f} "
            f"gigapixels in all; at most {limits.max_gigapixels:g} are allowed"
        )


def _shrunk(image: ImageArray) -> tuple[ImageArray, float]:
    factor = min(1.0, _MOST / max(image.shape[:2]))
    width, height = (max(1, round(side * factor)) for side in (image.shape[1], image.shape[0]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8), factor


def _get_ready(preprocessing: Preprocessing) -> None:
    if hasattr(os, "nice"):  # not on Windows, where these processes have the same priority as the server
        os.nice(_NICE)
    preprocessing.load()
