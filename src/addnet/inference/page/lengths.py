"""The faces of a video that must not be long, found in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.inference.preprocessing import Preprocessing
from addnet.inference.videos import FacesOfVideo, FrameFace, VideoSettings
from addnet.pool import streamed


class ShortVideo:
    """As `FacesOfVideoApart`, but a longer video is refused before a frame of it is decoded.

    Args:
        path: The file.
        preprocessing: How faces are cut out and seen.
        settings: Which frames, whose faces.
        max_seconds: How long it may be.

    Raises:
        UserError: While iterating: it is longer, or can't be read, or kills the process.
    """

    def __init__(
        self, path: Path, preprocessing: Preprocessing, settings: VideoSettings, *, max_seconds: float
    ) -> None:
        self._what = path, preprocessing, settings, max_seconds
        self._about: dict[str, Any] = {}

    def __iter__(self) -> Iterator[FrameFace]:
        for item in streamed(_faces_and_about, *self._what):
            if isinstance(item, FrameFace):
                yield item
            else:
                self._about = item

    def about(self) -> dict[str, Any]:
        """What is known about the video, once all faces were taken."""
        return self._about


def _faces_and_about(
    path: Path, preprocessing: Preprocessing, settings: VideoSettings, max_seconds: float
) -> Iterator[FrameFace | dict[str, Any]]:
    if (seconds := length(path)) > max_seconds:
        raise UserError(f"video of {seconds:.0f} seconds; at most {max_seconds:g} are taken")
    faces = FacesOfVideo(path, preprocessing, settings)
    yield from faces
    yield faces.about()


def length(path: Path) -> float:
    """Seconds from the first to the last picture, by the times of the packets: what a header says may be wrong.

    Returns:
        0 for a file that is no video: whoever reads it then says why.
    """
    import av

    first, last = float("inf"), float("-inf")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return 0.0
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is not None and packet.time_base is not None:
                    time = float(packet.pts * packet.time_base)
                    first, last = min(first, time), max(last, time)
    except (av.FFmpegError, OSError):  # damaged: what lies before counts
        pass
    return max(last - first, 0.0)
