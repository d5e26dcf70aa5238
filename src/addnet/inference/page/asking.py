"""An uploaded file → what is said about it; whatever is wrong with the file becomes a reason in words."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from addnet.errors import UserError
from addnet.faces.formats import VIDEO, kind_of
from addnet.faces.pictures import Picture, check_picture
from addnet.inference.answers import Answer, unusable
from addnet.inference.detector import Detector
from addnet.inference.explaining import Explanation, explain
from addnet.inference.videos import FacesOfVideoApart, VideoSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What is taken from a visitor.

    Attributes:
        max_mb: Of a file.
        max_megapixels: Of a picture.
        max_seconds: Of a video.
        frames: Of a video that are looked at, evenly spaced.

    Raises:
        UserError: One is not above 0.
    """

    max_mb: int = 50
    max_megapixels: float = 40
    max_seconds: float = 60
    frames: int = 32

    def __post_init__(self) -> None:
        for name in ("max_mb", "max_megapixels", "max_seconds", "frames"):
            if not getattr(self, name) > 0:
                raise UserError(f"limits.{name}={getattr(self, name)} must be above 0")


@dataclass(frozen=True)
class Said:
    """What is said about one file.

    Attributes:
        answer: Its path is the name that the visitor gave the file.
        picture: The picture itself; None for a video, and where it can't be read.
        explanation: Of the face that was looked at; in a video, of the frame with the largest score of who decides.
    """

    answer: Answer
    picture: Picture | None = None
    explanation: Explanation | None = None


class Visit:
    """Answers for files, one at a time.

    Args:
        detector: The detector that is asked.
        limits: What is taken.
        block: Where Grad-CAM is taken.
    """

    def __init__(self, detector: Detector, limits: Limits, *, block: str = "block12") -> None:
        self.detector = detector
        self.limits = limits
        self.block = block

    def ask(self, path: Path) -> Said:
        """Says what the detector says; a file that is no use is answered for as `unusable`, whatever is wrong."""
        try:
            if (size := path.stat().st_size) > self.limits.max_mb << 20:
                raise UserError(f"file of {size / 2**20:.0f} MB; at most {self.limits.max_mb} MB are taken")
            said = self._video(path) if _is_video(path) else self._picture(path)
        except OSError as error:
            return self._unusable(path, f"cannot be read: {error.strerror or error}")
        except UserError as error:
            return self._unusable(path, str(error).removeprefix(f"{path}: ").replace(str(path), path.name))
        return replace(said, answer=replace(said.answer, path=path.name))

    def ask_and_forget(self, path: Path) -> Said | None:
        """The same for an upload, which is gone afterwards; None where the program itself failed, which is logged."""
        try:
            return self.ask(path)
        except Exception:
            log.exception("a %s file could not be answered for", path.suffix or "nameless")
            return None
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # Gradio makes a folder for each upload
                path.parent.rmdir()

    def _picture(self, path: Path) -> Said:
        picture = check_picture(path)
        if (pixels := picture.shape[0] * picture.shape[1]) > self.limits.max_megapixels * 1e6:
            most = self.limits.max_megapixels
            raise UserError(f"picture of {pixels / 1e6:.0f} megapixels; at most {most:g} are taken")
        seen = self.detector.preprocessing.of_picture(picture)
        answer = self.detector.answer(seen, self.detector.scores(seen).tolist(), path=str(path))
        return Said(answer, picture, explain(self.detector, seen[0], block=self.block) if answer.faces else None)

    def _video(self, path: Path) -> Said:
        settings = VideoSettings(frames=self.limits.frames)
        faces = FacesOfVideoApart(path, self.detector.preprocessing, settings, max_seconds=self.limits.max_seconds)
        answer, worst = self.detector.watch(faces, path=str(path))
        return Said(answer, None, explain(self.detector, worst, block=self.block) if worst else None)

    def _unusable(self, path: Path, reason: str) -> Said:
        decision, kind = (self.detector.video, "video") if _is_video(path) else (self.detector.frame, "picture")
        return Said(unusable(path.name, reason, threshold=decision.threshold, kind=kind))


def _is_video(path: Path) -> bool:
    return kind_of(path) == VIDEO
