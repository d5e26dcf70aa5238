"""An uploaded file → an answer; any problem of the file becomes a reason in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.images import ImageArray
from addnet.inference.answering.errand import FileTask
from addnet.inference.answering.readers import Readers
from addnet.inference.answering.reading import ImageFaces, UploadLimits, is_video, job_of
from addnet.inference.answering.turns import TaskQueue
from addnet.inference.answers import Answer, unusable
from addnet.inference.detector import Detector
from addnet.inference.explaining import Explanation, block_of, explain
from addnet.inference.preprocessing import FaceView
from addnet.inference.videos import AboutVideo, FacesFrom, FrameFace
from addnet.inference.weighing import Ratios, weighed
from addnet.untrusted.texts import shown

__all__ = ["Reply", "UploadLimits", "Visit"]

log = logging.getLogger(__name__)

_AT_ONCE = 2  # faces per turn of the network on a CPU; on a GPU a whole batch takes no longer


@dataclass(frozen=True)
class Reply:
    """The answer about one file, with what is needed to show it.

    Attributes:
        answer: The answer; its path is the name that the visitor gave the file.
        image: The image, shrunk for display; None for a video, and if it can't be read.
        factor: Factor by which it was shrunk.
        explanation: The explanation of the face that was scored; in a video, of the frame with the largest score of the
            person who decides.
    """

    answer: Answer
    image: ImageArray | None = None
    factor: float = 1.0
    explanation: Explanation | None = None


class Visit:
    """Answers for several files at once: each is read in its own process; one thread runs the network for all.

    Args:
        detector: The detector.
        limits: Limits on uploads.
        workers: Number of files that are read at once.
        block: Stage or module for Grad-CAM; None: the network's default.
        ratios: Likelihood ratios by level, from `likelihood_ratios`.

    Raises:
        UserError: `workers` is below 1, or the network has no such block.
    """

    def __init__(
        self,
        detector: Detector,
        limits: UploadLimits,
        *,
        workers: int = 3,
        block: str | None = None,
        ratios: Ratios | None = None,
    ) -> None:
        if workers < 1:
            raise UserError(f"workers={workers} must be at least 1")
        self.detector = detector
        self.limits = limits
        self.workers = workers
        self.block = block_of(detector, block)
        self.ratios = ratios or {}
        self.turns = TaskQueue()
        self.readers: Readers[ImageFaces | FrameFace | AboutVideo] = Readers(
            job_of(detector.preprocessing, limits), workers
        )

    def close(self) -> None:
        """Ends the processes that read files."""
        self.readers.close()

    def ask(
        self, path: Path, *, name: str | None = None, errand: FileTask | None = None, explained: bool = True
    ) -> Reply:
        """Answers for a file; a file that can't be used gets the verdict `unusable`, with the reason.

        Args:
            path: The file.
            name: The visitor's name for it; default: the name of `path`.
            errand: The task, by which the work can be cancelled.
            explained: Whether to explain the score, which takes several times as long.
        """
        errand, name = errand or FileTask(), shown(path.name if name is None else name)
        try:
            with self.readers.reading(path, errand) as items:
                reply = self._reply(path, items, errand, explained=explained)
        except UserError as error:
            return self._unusable(path, name, str(error).removeprefix(f"{path}: ").replace(str(path), name))
        return replace(reply, answer=replace(weighed(reply.answer, self.ratios), path=name))

    def ask_safely(self, path: Path, *, name: str, errand: FileTask, explained: bool = True) -> Reply | None:
        """Answers for a file like `ask`; returns None and logs the error if the program itself failed."""
        try:
            return self.ask(path, name=name, errand=errand, explained=explained)
        except Exception:
            log.exception("internal error while answering for a file, suffix: %s", path.suffix or "none")
            return None

    def _reply(
        self, path: Path, items: Iterator[ImageFaces | FrameFace | AboutVideo], errand: FileTask, *, explained: bool
    ) -> Reply:
        first = next(items)
        if isinstance(first, ImageFaces):
            [*_] = items  # consumes the rest, so that the process becomes free
            answer = self.detector.answer(first.seen, self._scores(first.seen, errand).tolist(), path=str(path))
            worst = first.seen[0] if answer.faces and explained else None
            return Reply(answer, first.shown, first.factor, self._explanation(worst, errand))
        faces = FacesFrom(item for item in chain([first], items) if not isinstance(item, ImageFaces))
        answer, worst = self.detector.watch(faces, path=str(path), by=lambda seen: self._scores(seen, errand))
        return Reply(answer, explanation=self._explanation(worst if explained else None, errand))

    def _scores(self, seen: Sequence[FaceView], errand: FileTask) -> NDArray[np.float64]:
        """Scores a few faces per turn, so that other tasks get their turns in between."""
        few = self.detector.batch_size if self.detector.device.type != "cpu" else _AT_ONCE
        parts = (seen[start : start + few] for start in range(0, len(seen), few))
        scores = []
        for part in parts:
            scores.append(self.turns.do(errand, self.detector.scores_at_once, part))
            errand.faces += len(part)
        return np.concatenate([np.zeros(0), *scores])

    def _explanation(self, seen: FaceView | None, errand: FileTask) -> Explanation | None:
        return self.turns.do(errand, explain, self.detector, seen, block=self.block) if seen else None

    def _unusable(self, path: Path, name: str, reason: str) -> Reply:
        decision, kind = (self.detector.video, "video") if is_video(path) else (self.detector.frame, "image")
        return Reply(unusable(name, reason, threshold=decision.threshold, kind=kind))
