"""Decoded video frames → images as a player shows them: square pixels, rotated and mirrored as the file specifies."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from addnet.faces.images import ImageArray, check_size

if TYPE_CHECKING:
    from av import VideoFrame

_MAX_STRETCH = 4  # anamorphic film is 2:1; a larger ratio is an error in the file


@dataclass
class FrameConverter:
    """Converts the frames of one video.

    Attributes:
        aspect: Width over height of one pixel as given by the file; None or 0 if it doesn't say.
    """

    aspect: Fraction | None = None
    _scaler: Any = field(default=None, init=False, repr=False)

    def __call__(self, frame: VideoFrame) -> ImageArray:
        """Converts one frame.

        Pixels that aren't square are stretched along their longer side, so that no detail is lost. Rotation follows
        the display matrix to the nearest quarter turn.

        Returns:
            (H, W, 3) uint8, RGB, contiguous.

        Raises:
            UserError: The frame is smaller than 16 pixels a side or larger than 80 megapixels.
        """
        width, height = square_pixels(frame.width, frame.height, self.aspect)
        check_size(width, height)
        stretched = (width, height) != (frame.width, frame.height)
        converted = self._reformatter().reformat(
            frame, width, height, "rgb24", interpolation="BICUBIC" if stretched else None
        )
        return np.ascontiguousarray(turned(converted.to_ndarray(), display_matrix(frame)))

    def _reformatter(self) -> Any:
        """One reformatter for all frames: a frame's own would be set up again, with its threads, for each frame."""
        if self._scaler is None:
            from av.video.reformatter import VideoReformatter

            self._scaler = VideoReformatter()
        return self._scaler


def square_pixels(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Width and height once the pixels are square; unchanged if the aspect is unknown or implausible.

    Example:
        >>> square_pixels(720, 576, Fraction(16, 15)), square_pixels(720, 480, Fraction(8, 9))
        ((768, 576), (720, 540))
    """
    if not aspect or not Fraction(1, _MAX_STRETCH) <= aspect <= _MAX_STRETCH:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def display_matrix(frame: VideoFrame) -> NDArray[np.float64] | None:
    """The upper left 2×2 of a frame's display matrix in FFmpeg's order (a, b; c, d), or None without one."""
    try:
        side_data: Any = frame.side_data
        data = bytes(side_data["DISPLAYMATRIX"])
    except KeyError:
        return None
    except ValueError:  # the frame has other side data that PyAV doesn't know; it still reports the angle
        angle = np.deg2rad(frame.rotation)
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.frombuffer(data, dtype=np.int32).reshape(3, 3)[:2, :2].astype(np.float64)


def turned(image: ImageArray, matrix: NDArray[np.float64] | None) -> ImageArray:
    """Rotates and mirrors an image according to a display matrix, to the nearest quarter turn.

    A pixel at (x, y) is shown at (a·x + c·y, b·x + d·y), y downwards, shifted back into the image.

    Args:
        image: (H, W, 3) uint8.
        matrix: (a, b; c, d), or None to leave the image unchanged.
    """
    if matrix is None:
        return image
    (a, b), (c, d) = matrix.tolist()
    along, down = a, d
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, along, down = image.transpose(1, 0, 2), c, b
    return image[:: -1 if down < 0 else 1, :: -1 if along < 0 else 1]
