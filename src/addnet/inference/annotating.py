"""A copy of a video with boxes around faces and their scores, as an MP4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from addnet.colours import FAKE, REAL, rgb
from addnet.errors import NotWrittenError, UserError
from addnet.faces.decoding import length, size_of
from addnet.faces.images import ImageArray
from addnet.faces.videos import Frame, Video
from addnet.inference.answers import Answer, FaceAnswer
from addnet.pool import ProcessExecutor, call_within
from addnet.untrusted.limits import Limits, prolong

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_COLOURS = (rgb(REAL), rgb(FAKE))
_RATE = 25  # frames a second where the file has no times
_MOST = 1920  # pixels of the longer side
_TICK = Fraction(1, 1000)  # of a second
# codecs with their options; a faster preset of x264 saves most of the time for a somewhat larger file
_CODECS: dict[str, dict[str, str]] = {"libx264": {"preset": "veryfast"}, "mpeg4": {}}


def annotate(answer: Answer, path: Path, *, class_names: tuple[str, ...]) -> Path:
    """Writes the video with boxes and scores; those of an examined frame stay until the next examined frame.

    Memory doesn't grow with the length of the video.

    Args:
        answer: The answer about the video.
        path: The MP4; written to a temporary file beside it first, so that it is complete or absent.
        class_names: In the order of the labels.

    Raises:
        UserError: The video can no longer be read.
        NotWrittenError: The file can't be written.
    """
    import av

    video = Path(answer.path)
    prolong(lambda limits: limits.more_for_video(lasts=length(video), size=size_of(video), every=None, frames=None))
    by_frame: dict[int, list[FaceAnswer]] = {number: [] for number in answer.looked_at}
    for face in answer.faces:
        by_frame.setdefault(face.frame or 0, []).append(face)
    part = _part_of(path)
    try:
        with av.open(str(part), "w", format="mp4") as container:
            _write(container, _annotated(video, by_frame, class_names, answer))
        part.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise NotWrittenError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def annotate_apart(
    answer: Answer, path: Path, *, class_names: tuple[str, ...], executor: ProcessExecutor, limits: Limits
) -> None:
    """Runs `annotate` in a process of an executor, within limits of memory and time.

    Args:
        answer: See `annotate`.
        path: See `annotate`.
        class_names: See `annotate`.
        executor: An executor of one process, which other calls may use too.
        limits: Limits of memory and time.

    Raises:
        UserError: The video can no longer be read, or a limit is exceeded.
        NotWrittenError: The file can't be written.
    """
    try:
        call_within(limits, executor, partial(annotate, class_names=class_names), answer, path)
    finally:
        _part_of(path).unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _annotated(
    video: Path, by_frame: Mapping[int, list[FaceAnswer]], class_names: tuple[str, ...], answer: Answer
) -> Iterator[Frame]:
    faces: list[FaceAnswer] = []
    for frame in Video(video).frames(every=1):
        faces = by_frame.get(frame.number, faces)
        yield Frame(frame.number, frame.time, drawn(frame.image, faces, class_names=class_names, answer=answer))


def drawn(image: ImageArray, faces: list[FaceAnswer], *, class_names: tuple[str, ...], answer: Answer) -> ImageArray:
    """Draws boxes around faces, their scores, and the verdict in the lower left corner.

    Args:
        image: (H, W, 3) uint8.
        faces: Faces with boxes in pixels of `image`.
        class_names: In the order of the labels.
        answer: The answer about the video.

    Returns:
        (h, w, 3) uint8; both sides are even and at most 1920 pixels, as codecs need.
    """
    height, width = image.shape[:2]
    factor = min(1.0, _MOST / max(height, width))
    size = (max(2, round(width * factor) // 2 * 2), max(2, round(height * factor) // 2 * 2))
    canvas = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    unit = max(size) / 640
    for face in faces:
        colour = _colour(face.verdict, class_names)
        if face.box is None:
            continue
        left, top, right, bottom = (round(side * factor) for side in face.box)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, max(1, round(2 * unit)))
        who = f"track {face.track}: " if answer.people > 1 and face.track is not None else ""
        _label(canvas, f"{who}{face.verdict} {face.score:.2f}", (left, top), colour, unit)
    verdict = answer.verdict if answer.score is None else f"{answer.verdict} {answer.score:.2f}{answer.by_whom}"
    colour = _colour(answer.verdict, class_names)
    foot = canvas.shape[0] - round(8 * unit)  # faces have their labels above them
    _label(canvas, f"video: {verdict}", (round(8 * unit), foot), colour, unit)
    return canvas


def _colour(verdict: str, class_names: tuple[str, ...]) -> tuple[int, int, int]:
    """Returns the colour of a class; grey for any other verdict."""
    return _COLOURS[class_names.index(verdict)] if verdict in class_names else (90, 90, 90)


def _label(canvas: ImageArray, text: str, corner: tuple[int, int], colour: tuple[int, int, int], unit: float) -> None:
    """Draws white text on a coloured plate with this lower left corner, moved and shrunk to fit into the image."""
    scale, thickness = 0.5 * unit, max(1, round(unit))
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    if width > canvas.shape[1]:
        scale, thickness = scale * canvas.shape[1] / width, 1
        (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    left, bottom = max(0, min(corner[0], canvas.shape[1] - width)), max(corner[1], height + base)
    cv2.rectangle(canvas, (left, bottom - height - base), (left + width, bottom), colour, cv2.FILLED)
    at = (left, bottom - base // 2)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)


def _write(container: Any, frames: Iterator[Frame]) -> None:
    """Encodes frames at the times at which they are shown."""
    import av

    stream: VideoStream | None = None
    last = -1
    for frame in frames:
        height, width = frame.image.shape[:2]
        if stream is None:
            stream = _stream(container, width, height)
        elif (stream.width, stream.height) != (width, height):  # the size may change within a file
            resized = cv2.resize(frame.image, (stream.width, stream.height))
            frame = Frame(frame.number, frame.time, np.asarray(resized, dtype=np.uint8))
        image = av.VideoFrame.from_ndarray(frame.image, format="rgb24")
        milliseconds = round(1000 * frame.time) if frame.time is not None else frame.number * 1000 // _RATE
        last = image.pts = max(milliseconds, last + 1)
        image.time_base = _TICK
        container.mux(stream.encode(image))
    if stream is None:
        raise UserError("no frame of the video can be decoded")
    container.mux(stream.encode(None))


def _stream(container: Any, width: int, height: int) -> VideoStream:
    import av

    codec = next(name for name in _CODECS if name in av.codecs_available)
    stream = cast("VideoStream", container.add_stream(codec, rate=_RATE, options=_CODECS[codec]))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = _TICK
    return stream
