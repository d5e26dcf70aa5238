"""Rows 16 and 17: `addnet predict` on a folder of crops and on a video, beside bare loops over its parts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import cast

import cv2
import images
import torch
from measure import Ratio
from table import Row
from training import quieten

from addnet.config import compose
from addnet.faces.images import ImageArray, read_image
from addnet.faces.landmarks import Landmarker
from addnet.faces.videos import spaced
from addnet.inference import Detector
from addnet.inference.preprocessing import FaceView
from addnet.pool import cores
from addnet.predict import predict

CROPS, SECONDS, FRAMES = 1000, 60, 32
SHARE = 2  # the bare loops go over every second crop


def rows(rounds: int = 3) -> Iterator[Row]:
    """The command from its config on: it starts its processes and opens its models each time."""
    quieten()
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(cores())
    detector = Detector.default(device="cpu")
    detector.preprocessing.load()
    with tempfile.TemporaryDirectory() as work:
        yield _folder_row(detector, Path(work), rounds)
        yield _video_row(detector, Path(work), rounds)
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def _folder_row(detector: Detector, work: Path, rounds: int) -> Row:
    folder = images.folder(work, CROPS) / "train"
    files = sorted(folder.rglob("*.jpg"))
    crops = [read_image(file) for file in files[::SHARE]]
    seen = [face for crop in crops for face in detector.preprocessing.of_image(crop)]
    landmarker = detector.preprocessing.scenes

    def once() -> tuple[float, ...]:
        command = _timed(lambda: _predict(folder, work))
        return command, SHARE * _landmarks(landmarker, crops), SHARE * _forward(detector, seen)

    times = [once() for _ in range(rounds)]
    command, landmarks, forward = map(median, zip(*times, strict=True))
    return Row(
        "16",
        f"predict, a folder of {len(files):,} crops",
        "landmarks and forward passes, bare",
        Ratio.of([ours / (landmarks + forward) for ours, landmarks, forward in times]),
        ("<=", 1.15),
        {"predict": command, "landmarks": landmarks, "forward passes": forward},
        f"from the config to the answers, processes and models opened anew; bare loops: one core, over {cores()}, on "
        f"every second crop, times {SHARE}; {detector.batch_size} faces a batch; {SHARE * len(seen)} with a face",
    )


def _video_row(detector: Detector, work: Path, rounds: int) -> Row:
    file = images.video(work / "video.mp4", seconds=SECONDS)
    frames = _decoded(file)
    scenes = detector.preprocessing.scenes
    seen = [detector.preprocessing.cut(frame, face) for frame in frames for face in scenes.all_faces(frame)[:1]]
    without = ("timeline=false", "annotate=false")

    def once() -> tuple[float, ...]:
        command = _timed(lambda: _predict(file, work, *without))
        return command, _timed(lambda: _decoded(file)), _landmarks(scenes, frames), _forward(detector, seen)

    times = [once() for _ in range(rounds)]
    command, decoding, landmarks, forward = map(median, zip(*times, strict=True))
    marked = _timed(lambda: _predict(file, work))
    return Row(
        "17",
        f"predict, a video of {SECONDS} s, 1080p, {FRAMES} frames",
        "decoding, landmarks, forward passes",
        Ratio.of([ours / sum(theirs) for ours, *theirs in times]),
        ("<=", 1.3),
        {
            "predict": command,
            "decoding by PyAV": decoding,
            "landmarks": landmarks,
            "forward passes": forward,
            "predict with its copy of the video": marked,
        },
        f"as in row 16; decoding on {cores()} threads, up to the last frame; without the copy with boxes and the plot",
    )


def _predict(given: Path, work: Path, *more: str) -> None:
    given_as = [f"input={given}", f"paths.output_dir={work / 'answers'}", "quiet=true", "detector.device=cpu"]
    predict(compose([*given_as, *more], config_name="predict"))


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _landmarks(landmarker: Landmarker, given: Sequence[ImageArray]) -> float:
    """Seconds if all cores shared the work without loss: those of one core, over the number of cores."""
    return _timed(lambda: [landmarker.all_faces(image) for image in given]) / cores()


def _forward(detector: Detector, seen: Sequence[FaceView]) -> float:
    """Seconds as in `_landmarks`: threads that wait for each other would measure what else the machine does."""
    starts = range(0, len(seen), detector.batch_size)
    batches = [detector.tensors(seen[start : start + detector.batch_size]) for start in starts]
    batches = [(image.contiguous(memory_format=torch.channels_last), mask) for image, mask in batches]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        seconds = _timed(lambda: [detector.net(*batch) for batch in batches])
    torch.set_num_threads(threads)
    return seconds / cores()


def _decoded(file: Path) -> list[ImageArray]:
    """The frames that `predict` looks at, as whoever knows how many there are decodes them."""
    import av

    found = []
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        wanted = spaced(stream.frames, FRAMES)
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                found.append(cast("ImageArray", frame.to_ndarray(format="rgb24")))
            if number == wanted[-1]:
                return found
    return found
