"""Many image files → faces, on all cores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from addnet.errors import UserError
from addnet.faces.images import check_image
from addnet.faces.landmarks import Face, Landmarker
from addnet.pool import PoolJob, cores, in_order, run_local
from addnet.untrusted.limits import memory_in_words

_CHUNK = 16
_WORTH_A_POOL = 64  # with fewer files, starting several processes takes longer than the work


class ScanFinding(NamedTuple):
    """The result for one file.

    Attributes:
        path: The file.
        shape: (height, width); (0, 0) if unusable.
        face: The face, with step `none` if there is none; None if the file is unusable or was only checked.
        reason: Why the file is unusable; None if it is usable.
    """

    path: Path
    shape: tuple[int, int]
    face: Face | None
    reason: str | None


def examine(path: Path, landmarker: Landmarker | None) -> ScanFinding:
    """Checks one file and, with a landmarker, finds its face. Never raises for a bad file."""
    try:
        with memory_in_words():
            image = check_image(path)
            face = landmarker(image) if landmarker else None
    except UserError as error:
        return ScanFinding(path, (0, 0), None, str(error))
    except OSError as error:
        return ScanFinding(path, (0, 0), None, f"cannot be read: {error.strerror or error}")
    return ScanFinding(path, (image.shape[0], image.shape[1]), face, None)


def unusable(path: Path, reason: str) -> ScanFinding:
    """The result for a file that could not be examined."""
    return ScanFinding(path, (0, 0), None, reason)


def scan(paths: Sequence[Path], landmarker: Landmarker | None, *, workers: int | None = None) -> Iterator[ScanFinding]:
    """Examines files and yields the results in the order of the files.

    A file that kills its process, or exceeds the limits of a file, is reported as unusable; see `addnet.pool`.

    Args:
        paths: The files.
        landmarker: Finds the faces; None only checks that the images are intact.
        workers: Number of processes; default: all cores, and one if there are few files.
    """
    workers = min(workers or cores(), len(paths) // _CHUNK + 1)
    if len(paths) < _WORTH_A_POOL:
        workers = 1
    job = PoolJob.of(partial(_examine_numbered, landmarker=landmarker))
    yield from in_order(run_local(job, enumerate(paths), failed=_failed, workers=workers, chunk=_CHUNK))


def _examine_numbered(task: tuple[int, Path], landmarker: Landmarker | None) -> tuple[int, ScanFinding]:
    number, path = task
    return number, examine(path, landmarker)


def _failed(task: tuple[int, Path], reason: str) -> tuple[int, ScanFinding]:
    number, path = task
    return number, unusable(path, reason)


def outcome(finding: ScanFinding) -> str:
    """The landmarker step that found the face, `unusable`, or `checked` if no face was searched for."""
    return "unusable" if finding.reason else finding.face.step if finding.face else "checked"


def count_steps(findings: Sequence[ScanFinding]) -> dict[str, int]:
    """Counts images by the landmarker step that found the face, `none` and `unusable` included.

    Example:
        >>> count_steps([ScanFinding(Path("a.jpg"), (0, 0), None, "empty file (0 bytes)")])
        {'unusable': 1}
    """
    counts: dict[str, int] = {}
    for finding in findings:
        step = outcome(finding)
        counts[step] = counts.get(step, 0) + 1
    return counts
