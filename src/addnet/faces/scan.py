"""Many picture files → faces, on all cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2

from addnet.errors import UserError
from addnet.faces.landmarks import Face, LandmarkDetector
from addnet.faces.pictures import check_picture

_CHUNK = 16
_WORTH_A_POOL = 64  # below this, starting processes takes longer than the work


class Finding(NamedTuple):
    """What one file gave.

    Attributes:
        path: The file.
        shape: (height, width); (0, 0) if unusable.
        face: The face, or step `none`; None if the file is unusable or was only checked.
        reason: Why the file is unusable; None if it is not.
    """

    path: Path
    shape: tuple[int, int]
    face: Face | None
    reason: str | None


def examine(path: Path, detector: LandmarkDetector | None) -> Finding:
    """Checks one file and, with a detector, finds its face. Never raises for a bad file."""
    try:
        picture = check_picture(path)
        face = detector(picture) if detector else None
    except UserError as error:
        return Finding(path, (0, 0), None, str(error))
    except OSError as error:
        return Finding(path, (0, 0), None, f"cannot be read: {error.strerror or error}")
    return Finding(path, (picture.shape[0], picture.shape[1]), face, None)


_worker_detector: LandmarkDetector | None = None


def _start_worker(detector: LandmarkDetector | None) -> None:
    global _worker_detector
    _worker_detector = detector
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it keeps what was found


def _examine_in_worker(path: Path) -> Finding:
    return examine(path, _worker_detector)


def scan(paths: Sequence[Path], detector: LandmarkDetector | None, *, workers: int | None = None) -> Iterator[Finding]:
    """Examines files in order, on `workers` processes (default: all cores).

    Processes are spawned, not forked: OpenCV's threads do not survive a fork.
    """
    workers = min(workers or os.cpu_count() or 1, len(paths) // _CHUNK + 1)
    if workers == 1 or len(paths) < _WORTH_A_POOL:
        yield from (examine(path, detector) for path in paths)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(detector,))
    try:
        yield from pool.map(_examine_in_worker, paths, chunksize=_CHUNK)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def count_steps(findings: Sequence[Finding]) -> dict[str, int]:
    """Pictures by the detector step that served, `unusable` last.

    Example:
        >>> count_steps([Finding(Path("a.jpg"), (0, 0), None, "empty file (0 bytes)")])
        {'unusable': 1}
    """
    counts: dict[str, int] = {}
    for finding in findings:
        step = "unusable" if finding.reason else finding.face.step if finding.face else "checked"
        counts[step] = counts.get(step, 0) + 1
    return counts
