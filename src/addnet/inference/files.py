"""Files → answers, as they come."""

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

if TYPE_CHECKING:  # brings torch, which the processes that find faces don't need
    from addnet.inference.detector import Detector, VideoAnswer

_CHUNK = 4
_WORTH_A_POOL = 8  # fewer images are read in one process: starting others takes longer


@dataclass(frozen=True)
class ImageSettings:
    """How faces in images are looked for; see `Preprocessing.of_image`.

    Attributes:
        kind: `auto`, `crops` or `scenes`.
        faces: `largest` or `all`.
        without_face: Scores images without a face too.
    """

    kind: str = "auto"
    faces: str = "largest"
    without_face: bool = False


class _FoundFaces(NamedTuple):
    """What one image gave: its faces, or why it has none."""

    path: Path
    seen: list[FaceView]
    reason: str = ""


def _look(task: tuple[int, Path], preprocessing: Preprocessing, settings: ImageSettings) -> tuple[int, _FoundFaces]:
    """Reads an image and finds its faces; what it raises makes it unusable."""
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
    """Processes for `answer_images`, which import what they need while this one imports torch and loads a network.

    Args:
        images: How many there will be.
        workers: Processes; default: all cores, and one for few files.
        landmark_model: Another 68-point file than the packaged one.
    """
    most = min(cores() if workers is None else workers, images)
    executor = ProcessExecutor(most if images >= _WORTH_A_POOL else min(most, 1))
    executor.warm(_open_model, landmark_model)
    return executor


def _open_model(landmark_model: str | None) -> None:
    Landmarker(landmark_model).load()  # what is wrong with it says `load` of the detector that is asked


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
        detector: The detector that is asked.
        paths: The files. One that can't be read, takes more than a file may or kills its process is answered for as
            `unusable`.
        settings: How faces are looked for.
        workers: Processes; default: all cores. 0: this process, where nothing bounds what a file takes.
        executor: From `finders`, instead; its processes go on afterwards.
        limits: What each file may take; default: `Limits()`.

    Returns:
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
) -> Iterator[VideoAnswer]:
    """Answers for video files in their order; faces are found on all cores while the network computes.

    Args:
        detector: The detector that is asked.
        paths: The files. One that can't be read, takes more than a file may or kills its process is answered for as
            `unusable`.
        settings: Which frames, whose faces.
        workers: Processes, each for one video after the other; default: all cores. 0: this process, where nothing
            bounds what a file takes.
        limits: What each file may take, a video more time by its length; default: `Limits()`.
        watch: Asks instead of `Detector.watch`, such as one that keeps more than it does.

    Returns:
        Each answer with the face that speaks most for fake.
    """
    watch = watch or detector.watch
    if workers == 0:
        for path in paths:
            yield _watched(detector, path, FacesOfVideo(path, detector.preprocessing, settings), watch)
        return
    find = partial(faces_and_about, preprocessing=detector.preprocessing, settings=settings)
    start = detector.preprocessing.load
    job: PoolJob[Path, Iterable[FrameFace | AboutVideo]] = PoolJob.of(find, start=start, limits=limits)
    for stream in streams(job, paths, workers=max(1, min(workers or cores(), len(paths)))):
        yield _watched(detector, stream.task, FacesFrom(stream), watch)


def _watched(detector: Detector, path: Path, faces: FrameFaces, watch: Callable[..., VideoAnswer]) -> VideoAnswer:
    from addnet.inference.detector import VideoAnswer

    try:
        return watch(faces, path=str(path))
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return VideoAnswer(unusable(str(path), reason, threshold=detector.video.threshold, kind="video"), None)


def answer_left_out(detector: Detector, left_out: Sequence[tuple[Path, str]]) -> Iterator[Answer]:
    """Says of each file that is neither image nor video, or that can't be read, why there is no answer."""
    for path, reason in left_out:
        yield unusable(str(path), reason, threshold=detector.frame.threshold, kind="file")
