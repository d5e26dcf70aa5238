"""Small images of a file for its report: an image, or a few frames of a video; and the times of frames."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from addnet.errors import UserError
from addnet.faces.decoding import length, size_of
from addnet.faces.formats import VIDEO
from addnet.faces.images import ImageArray, check_image
from addnet.faces.videos import Video
from addnet.untrusted.files import reason
from addnet.untrusted.limits import prolong

_SIDE = 560  # pixels of the longer side


@dataclass
class Stills:
    """The stills of a file.

    Attributes:
        images: By frame, 0 in an image: (h, w, 3) uint8 RGB, at most 560 pixels a side.
        factors: By frame, the factor by which it was shrunk.
        times: By examined frame, its time in seconds; None if the file doesn't say.
    """

    images: dict[int, ImageArray] = field(default_factory=dict)
    factors: dict[int, float] = field(default_factory=dict)
    times: dict[int, float | None] = field(default_factory=dict)

    def keep(self, number: int, image: ImageArray) -> None:
        """Shrinks an image and keeps it."""
        factor = min(1.0, _SIDE / max(image.shape[:2]))
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        self.images[number] = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        self.factors[number] = factor


def stills_of(path: Path, kind: str, looked_at: Collection[int], shown: Collection[int]) -> Stills:
    """Reads the stills of a file.

    Args:
        path: The file.
        kind: `image` or `video`.
        looked_at: Examined frames of a video, whose times are read.
        shown: Those of them that are kept as images.

    Raises:
        UserError: The file can't be read.
    """
    stills = Stills()
    try:
        if kind != VIDEO:
            stills.keep(0, check_image(path))
            return stills
        prolong(lambda limits: limits.more_for_video(lasts=length(path), size=size_of(path), every=None, frames=None))
        for frame in Video(path).frames_at(looked_at):
            stills.times[frame.number] = frame.time
            if frame.number in shown:
                stills.keep(frame.number, frame.image)
    except UserError as error:
        raise UserError(reason(error, path)) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}") from error
    return stills
