"""Files → answers, each as soon as it is ready."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from addnet.errors import UserError
from addnet.faces.images import check_image
from addnet.faces.landmarks import Landmarker
from addnet.inference.answers import Answer, unusable
from addnet.inference.preprocessing import FaceView, Preprocessing
from addnet.inference.videos import (
    AboutVideo,
    FacesFrom,
    FacesOfVideo,
    FrameFace,
    FrameFaces,
    VideoSettings,
    faces_and_about,
)
from addnet.pool import PoolJob, ProcessExecutor, cores, in_order, run_local, streams
from addnet.untrusted.limits import Limits

if TYPE_CHECKING:  # imports torch, which the processes that find faces don't need
    from addnet.inference.detector import Detector, VideoAnswer

_CHUNK = 4
_WORTH_A_POOL = 8  # fewer images are read in one process: starting more would take longer


@dataclass(frozen=True)
class ImageSettings:
    """How faces are found in images; see `Preprocessing.of_image`.

    Attributes:
        kind: `auto`, `crops` or `scenes`.
        faces: `largest` or `all`.
        without_face: Whether images without a face are scored too.
    """

    kind: str = "auto"
    faces: str = "largest"
    without_face: bool = False


class _FoundFaces(NamedTuple):
    """The faces of one image, or the reason why it can't be used."""

    path: Path
    seen: list[FaceView]
    reason: str = ""


def _look(task: tuple[int, Path], preprocessing: Preprocessing, settings: ImageSettings) -> tuple[int, _FoundFaces]:
    """Reads an image and finds its faces; an image for which this raises is reported as unusable."""
    number, path = task
    try:
        image = check_image(path)
    except OSError as error:
        return number, _FoundFaces(path, [], f"cannot be read: {error.strerror or error}")
    seen = preprocessing.of_image(image, kind=settings.kind, faces=settings.faces, without_face=settings.without_face)
    return number, _FoundFaces(path, seen)


def _lost(task: tuple[int, Path], reason: str) -> tuple[int, _FoundFaces]:
    number, path = task
    return number, _FoundFaces(path, [], reason)


def finders(images: int, *, workers: int | None = None, landmark_model: str | None = None) -> ProcessExecutor:
    """Starts processes for `answer_images`; they import while this process imports torch and loads a network.

    Args:
        images: Number of images.
        workers: Number of processes; default: one per core, or a single one for few files.
        landmark_model: File of a 68-landmark model, instead of the packaged one.
    """
    most = min(cores() if workers is None else workers, images)
    executor = ProcessExecutor(most if images >= _WORTH_A_POOL else min(most, 1))
    executor.warm(_open_model, landmark_model)
    return executor


def video_finders(
    videos: int, *, workers: int | None = None, landmark_model: str | None = None
) -> list[ProcessExecutor]:
    """Starts processes for `answer_videos`, each an executor of its own; takes the arguments of `finders`."""
    lanes = [ProcessExecutor(1) for _ in range(min(cores() if workers is None else workers, videos))]
    for lane in lanes:
        lane.warm(_open_model, landmark_model)
    return lanes


def _open_model(landmark_model: str | None) -> None:
    Landmarker(landmark_model).load()  # errors of it are reported by the `load` of the detector


def answer_images(
    detector: Detector,
    paths: Sequence[Path],
    settings: ImageSettings,
    *,
    workers: int | None = None,
    executor: ProcessExecutor | None = None,
    limits: Limits | None = None,
) -> Iterator[tuple[Answer, list[FaceView]]]:
    """Answers for image files in their order; faces are found on all cores while the network computes.

    Args:
        detector: The detector.
        paths: The files. A file that can't be read, exceeds a limit or kills its process gets the verdict `unusable`.
        settings: How faces are found.
        workers: Number of processes; default: one per core. 0: this process, without limits on memory and time.
        executor: An executor from `finders`, to be used instead of new processes; it stays running afterwards.
        limits: Limits of memory and time of each file; default: `Limits()`.

    Yields:
        Each answer with the faces that it is about.
    """
    function = partial(_look, preprocessing=detector.preprocessing, settings=settings)
    job = PoolJob.of(function, start=detector.preprocessing.load, limits=limits)
    with ExitStack() as stack:
        if workers != 0 and executor is None:
            executor = stack.enter_context(finders(len(paths), workers=workers))
        where: Any = {"workers": 0} if workers == 0 else {"executor": executor}
        yield from _answers(detector, run_local(job, enumerate(paths), failed=_lost, chunk=_CHUNK, **where))


def _answers(
    detector: Detector, numbered: Generator[tuple[int, _FoundFaces]]
) -> Iterator[tuple[Answer, list[FaceView]]]:
    looks = in_order(numbered)
    while some := list(islice(looks, detector.batch_size)):
        scores = iter(detector.scores([seen for look in some for seen in look.seen]))
        for look in some:
            own = [next(scores) for _ in look.seen]
            answer = _answer(detector, look, own)
            yield answer, look.seen if answer.faces else []


def _answer(detector: Detector, look: _FoundFaces, scores: Sequence[float]) -> Answer:
    if look.reason:
        return unusable(str(look.path), look.reason, threshold=detector.frame.threshold)
    return detector.answer(look.seen, scores, path=str(look.path))


def answer_videos(
    detector: Detector,
    paths: Sequence[Path],
    settings: VideoSettings,
    *,
    workers: int | None = None,
    limits: Limits | None = None,
    watch: Callable[..., VideoAnswer] | None = None,
    executors: Sequence[ProcessExecutor] = (),
) -> Iterator[VideoAnswer]:
    """Answers for video files in their order; faces are found on all cores while the network computes.

    Args:
        detector: The detector.
        paths: The files. A file that can't be read, exceeds a limit or kills its process gets the verdict `unusable`.
        settings: Which frames and whose faces.
        workers: Number of processes, each for one video at a time; default: one per core. 0: this process, without
            limits on memory and time.
        limits: Limits of memory and time of each file, with more time for long videos; default: `Limits()`.
        watch: A function to call instead of `Detector.watch`, for example one that keeps more faces.
        executors: Executors from `video_finders`, to be used instead of new processes; their processes end with it.

    Yields:
        Each answer with the face that has the largest score.
    """
    watch = watch or detector.watch
    if workers == 0:
        for path in paths:
            yield _watched(detector, path, FacesOfVideo(path, detector.preprocessing, settings), watch)
        return
    most = workers or cores()
    lanes = max(1, min(most, len(paths)))
    how: dict[str, Any] = {"settings": settings, "threads": max(1, most // lanes)}
    find = partial(faces_and_about, preprocessing=detector.preprocessing, **how)
    start = detector.preprocessing.load
    job: PoolJob[Path, Iterable[FrameFace | AboutVideo]] = PoolJob.of(find, start=start, limits=limits)
    for stream in streams(job, paths, workers=lanes, lanes=executors):
        yield _watched(detector, stream.task, FacesFrom(stream), watch)


def _watched(detector: Detector, path: Path, faces: FrameFaces, watch: Callable[..., VideoAnswer]) -> VideoAnswer:
    from addnet.inference.detector import VideoAnswer

    try:
        return watch(faces, path=str(path))
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return VideoAnswer(unusable(str(path), reason, threshold=detector.video.threshold, kind="video"), None)


def answer_left_out(detector: Detector, left_out: Sequence[tuple[Path, str]]) -> Iterator[Answer]:
    """Yields an `unusable` answer with the reason for each file that is neither image nor video or can't be read."""
    for path, reason in left_out:
        yield unusable(str(path), reason, threshold=detector.frame.threshold, kind="file")
