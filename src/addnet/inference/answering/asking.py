"""An uploaded file → what is said about it; whatever is wrong with the file becomes a reason in words."""

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

_AT_ONCE = 2  # faces that the network looks at in one turn; on a GPU all of a batch take no longer


@dataclass(frozen=True)
class Reply:
    """What is said about one file.

    Attributes:
        answer: Its path is the name that the visitor gave the file.
        image: The image itself, shrunk to be shown; None for a video, and where it can't be read.
        factor: By which it was shrunk.
        explanation: Of the face that was looked at; in a video, of the frame with the largest score of who decides.
    """

    answer: Answer
    image: ImageArray | None = None
    factor: float = 1.0
    explanation: Explanation | None = None


class Visit:
    """Answers for files, several at once: each is read in a process of its own, the network has one thread for all.

    Args:
        detector: The detector that is asked.
        limits: What is taken.
        workers: Files that are read at once.
        block: Where Grad-CAM is taken, a stage of the network; None: where it tells most.
        ratios: Calibrations of likelihood ratios, as `likelihood_ratios` reads them.

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
        """Ends its processes."""
        self.readers.close()

    def ask(
        self, path: Path, *, name: str | None = None, errand: FileTask | None = None, explained: bool = True
    ) -> Reply:
        """Says what the detector says; a file that is no use is answered for as `unusable`, whatever is wrong.

        Args:
            path: The file.
            name: What the visitor calls it; default: as it is called.
            errand: By which the work may be given up.
            explained: Whether with reasons, which take several times as long.
        """
        errand, name = errand or FileTask(), shown(path.name if name is None else name)
        try:
            with self.readers.reading(path, errand) as items:
                said = self._said(path, items, errand, explained=explained)
        except UserError as error:
            return self._unusable(path, name, str(error).removeprefix(f"{path}: ").replace(str(path), name))
        return replace(said, answer=replace(weighed(said.answer, self.ratios), path=name))

    def ask_safely(self, path: Path, *, name: str, errand: FileTask, explained: bool = True) -> Reply | None:
        """The same; None where the program itself failed, which is logged."""
        try:
            return self.ask(path, name=name, errand=errand, explained=explained)
        except Exception:
            log.exception("a %s file could not be answered for", path.suffix or "nameless")
            return None

    def _said(
        self, path: Path, items: Iterator[ImageFaces | FrameFace | AboutVideo], errand: FileTask, *, explained: bool
    ) -> Reply:
        first = next(items)
        if isinstance(first, ImageFaces):
            [*_] = items  # to its end, so that its process is free
            answer = self.detector.answer(first.seen, self._scores(first.seen, errand).tolist(), path=str(path))
            worst = first.seen[0] if answer.faces and explained else None
            return Reply(answer, first.shown, first.factor, self._explanation(worst, errand))
        faces = FacesFrom(item for item in chain([first], items) if not isinstance(item, ImageFaces))
        answer, worst = self.detector.watch(faces, path=str(path), by=lambda seen: self._scores(seen, errand))
        return Reply(answer, explanation=self._explanation(worst if explained else None, errand))

    def _scores(self, seen: Sequence[FaceView], errand: FileTask) -> NDArray[np.float64]:
        """A few faces a turn, so that others have theirs in between."""
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
