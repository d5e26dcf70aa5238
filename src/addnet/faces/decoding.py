"""Opens a video file safely, decodes every frame that can be decoded and counts the damage (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from addnet.errors import UserError
from addnet.faces.images import MAX_PIXELS, check_size
from addnet.faces.upright import square_pixels
from addnet.untrusted.files import require_regular
from addnet.untrusted.limits import is_memory_error
from addnet.wording import count

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

# Containers only: a playlist or a concat script named clip.mp4 would make FFmpeg open other files.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,mpegvideo,h264,hevc,m4v,asf,flv,ogg,gif,mxf,dv"
_SHORT_BY = 0.9  # a video that ends before this fraction of its announced duration was truncated


@dataclass
class Damage:
    """Counts of decoded and damaged frames of a file, updated while it is decoded.

    Attributes:
        frames: Frames that were decoded intact.
        corrupt: Frames that the decoder marked as corrupt; they are skipped.
        packets: Packets that could not be decoded.
        unreadable: Reading stopped at an error before the end.
        announced: Number of frames according to the header; 0 if it doesn't say.
        duration: Seconds according to the header; 0 if it doesn't say.
        shown: Seconds between the first and the last frame.
    """

    frames: int = 0
    corrupt: int = 0
    packets: int = 0
    unreadable: bool = False
    announced: int = 0
    duration: float = 0.0
    shown: float = 0.0

    def notes(self) -> tuple[str, ...]:
        """What a person should know about the damage, in sentences; empty if the file is intact."""
        notes = []
        if self.packets:
            notes.append(f"damaged packets skipped: {self.packets}")
        if self.corrupt:
            notes.append(f"corrupt frames skipped: {self.corrupt}")
        if self.unreadable:
            notes.append(f"unreadable after frame {self.frames - 1}")
        if self.announced > self.frames + self.corrupt + self.packets:
            notes.append(
                f"truncated after frame {self.frames - 1}: the header announces {count(self.announced, 'frame')}"
            )
        elif (lasts := self._lasts()) < _SHORT_BY * self.duration:
            seconds = f"it lasts {lasts:.1f} s, the header announces {self.duration:.1f} s"
            notes.append(f"truncated after frame {self.frames - 1}: {seconds}")
        return tuple(notes)

    def _lasts(self) -> float:
        """Seconds up to the end of the last frame, assuming that it is shown for the average time of the others."""
        return self.shown * self.frames / (self.frames - 1) if self.shown else self.duration


def decoded(
    path: Path, damage: Damage, *, threads: int = 1, only_count: bool = False
) -> Iterator[tuple[VideoFrame, VideoStream]]:
    """Decodes a file from its start, in the order in which frames are shown.

    Packets that can't be decoded and frames that the decoder marks as corrupt are skipped.

    Args:
        path: The file.
        damage: Updated while decoding.
        threads: Threads of the decoder.
        only_count: The pixels don't matter: the deblocking filter, a third of the work of H.264, is skipped.

    Raises:
        UserError: The file can't be opened, is not a video, has no video stream or no intact frame, or is smaller than
            16 pixels a side or larger than 80 megapixels.
    """
    first: float | None = None
    with opened_video(path) as (container, stream):
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        smoothing = "all" if only_count else "default"
        stream.codec_context.options = {"skip_loop_filter": smoothing, "max_pixels": str(MAX_PIXELS)}
        damage.announced, damage.duration = stream.frames, (container.duration or 0) / 1e6
        for frame in _frames(container, stream, damage):
            if frame.is_corrupt:
                damage.corrupt += 1
                continue
            if (time := cast("float | None", frame.time)) is not None:
                first = time if first is None else first
                damage.shown = time - first
            damage.frames += 1
            yield frame, stream
    if not damage.frames:
        raise UserError(f"{path}: no frame can be decoded; the file is damaged or truncated")


class VideoMeasures(NamedTuple):
    """Duration and size of a video.

    Attributes:
        seconds: From the first to the last frame.
        frames: Packets of the video stream.
        width: Width of a frame in pixels; 0 if it is unknown before a frame is decoded.
        height: Height of a frame in pixels; 0 if it is unknown before a frame is decoded.
    """

    seconds: float = 0.0
    frames: int = 0
    width: int = 0
    height: int = 0

    @property
    def pixels(self) -> int:
        """Pixels of all frames together."""
        return self.frames * self.width * self.height


def measured(path: Path) -> VideoMeasures:
    """Measures a video by its packets, without decoding them, since the duration in the header may be wrong.

    Returns:
        Zeros for a file that is not a video: the error is raised when it is decoded.
    """
    import av

    first, last, frames, width, height = float("inf"), float("-inf"), 0, 0, 0
    with suppress(UserError, av.FFmpegError, OSError), opened_video(path) as (container, stream):
        width, height = stream.codec_context.width, stream.codec_context.height
        for packet in container.demux(stream):  # in a damaged file, packets before the damage count
            frames += packet.size > 0  # the last packet is empty: it flushes the decoder
            if packet.pts is not None and packet.time_base is not None:
                time = float(packet.pts * packet.time_base)
                first, last = min(first, time), max(last, time)
    return VideoMeasures(max(last - first, 0.0), frames, width, height)


def length(path: Path) -> float:
    """Seconds from the first to the last frame of a video, by `measured`; 0 for a file that is not a video."""
    return measured(path).seconds


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if it can't be found: the error is raised when it is read."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _frames(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoFrame]:
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError) as error:
            _require_memory(error)
            damage.unreadable = True
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            _require_memory(error)
            damage.packets += 1
            continue
        yield from frames


def _require_memory(error: Exception) -> None:
    """Raises an error that means too little memory: it isn't damage, and frames would be missing silently."""
    if is_memory_error(error):
        raise error


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a video file and its video stream without decoding anything; closes it after the block.

    Raises:
        UserError: The file can't be opened or is not a video.
    """
    import av

    # max_pixels: the frame size may change within a video, and FFmpeg decodes the first frames while opening it
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS, "max_pixels": str(MAX_PIXELS)}
    try:
        if require_regular(path) == 0:  # FFmpeg would block on a FIFO until somebody writes to it
            raise UserError(f"{path}: empty file (0 bytes)")
        # absolute, because "a:b.mp4" would be taken for a URL; titles in old encodings don't matter
        container = av.open(str(path.absolute()), metadata_errors="replace", options=options)
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror or error}") from error
    except (av.FFmpegError, UnicodeError) as error:
        raise UserError(
            f"{path}: not a video, or truncated before its header: {getattr(error, 'strerror', error)}"
        ) from error
    with container:
        yield container, _stream(path, container)


def _stream(path: Path, container: InputContainer) -> VideoStream:
    import av

    stream = cast("VideoStream | None", container.streams.best("video"))
    if stream is None or stream.disposition & av.stream.Disposition.attached_pic:  # cover art of a song
        kinds = sorted({stream.type for stream in container.streams if stream.type != "video"})
        raise UserError(f"{path}: has no video stream, only: {', '.join(kinds) or 'an empty container'}")
    if stream.codec_context is None:
        raise UserError(f"{path}: no decoder for this video format is installed")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width and height:
        try:
            check_size(*square_pixels(width, height, stream.sample_aspect_ratio))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    return stream
