"""The images of a file in a report: stills with boxes, scores over time, and explanations of the highest scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from addnet.case.stills import Stills
from addnet.case.strongest import StrongFace
from addnet.colours import FAKE, REAL, rgb
from addnet.errors import UserError
from addnet.faces.images import ImageArray
from addnet.inference.answering.asking import Reply
from addnet.inference.answers import Answer, FaceAnswer
from addnet.inference.explaining import explain
from addnet.inference.page.panels import Panel, image_uri, panels_of, timeline_of

if TYPE_CHECKING:
    from addnet.inference import Detector

_GREY = (90, 90, 90)


@dataclass(frozen=True)
class FaceExplanation:
    """The explanation of the score of one face.

    Attributes:
        title: Name of the face, with its score.
        panels: The face as the network sees it, the mask, the evidence for fake.
        organs: By organ, the decrease of the log odds of fake when it is covered.
    """

    title: str
    panels: tuple[Panel, ...]
    organs: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class FileImages:
    """The images of a file in the report; empty if none are shown.

    Attributes:
        stills: The image, or frames of the video, with boxes.
        timeline: Plot of the scores of a video.
        explained: Explanations of the faces with the highest scores.
        unexplained: Why there are no explanations; empty if there are.
    """

    stills: tuple[Panel, ...] = ()
    timeline: Panel | None = None
    explained: tuple[FaceExplanation, ...] = ()
    unexplained: str = ""


def shown_of(
    answer: Answer, stills: Stills, strong: Sequence[StrongFace], detector: Detector, *, block: str | None = None
) -> FileImages:
    """Returns the images of a file for the report.

    Args:
        answer: The answer about the file.
        stills: Images of the file.
        strong: The faces to explain, the highest score first.
        detector: The detector that gave the answer.
        block: Stage or module for Grad-CAM; None: the network's default.
    """
    panels = tuple(_still(answer, stills, number, detector) for number in stills.images)
    if not strong:
        return FileImages(panels, timeline_of(answer))
    try:
        explained = tuple(_explained(one, answer, detector, block) for one in strong)
    except UserError as error:  # a network without a default block for Grad-CAM
        return FileImages(panels, timeline_of(answer), unexplained=str(error))
    return FileImages(panels, timeline_of(answer), explained)


def _still(answer: Answer, stills: Stills, number: int, detector: Detector) -> Panel:
    canvas, factor = stills.images[number].copy(), stills.factors[number]
    faces = [face for face in answer.faces if (face.frame or 0) == number]
    for face in faces:
        _box(canvas, face, factor, detector.loaded.class_names)
    time = stills.times.get(number)
    at = "" if time is None else f", {time:.2f} s"
    title = f"Frame {number}{at}" if answer.kind == "video" else "The image"
    caption = "; ".join(f"{face.verdict}, score {face.score:.4f}" for face in faces)
    return Panel(title, image_uri(canvas), f"{title} with boxes around faces", caption or "no face was scored here")


def _box(canvas: ImageArray, face: FaceAnswer, factor: float, class_names: tuple[str, str]) -> None:
    if face.box is None:
        return
    colours = dict(zip(class_names, (rgb(REAL), rgb(FAKE)), strict=True))
    left, top, right, bottom = (round(side * factor) for side in face.box)
    colour, width = colours.get(face.verdict, _GREY), max(2, max(canvas.shape) // 180)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, width)


def _explained(one: StrongFace, answer: Answer, detector: Detector, block: str | None) -> FaceExplanation:
    explanation = explain(detector, one.seen, block=block)
    where = "The face" if one.frame is None else f"Frame {one.frame}"
    at = "" if one.time is None else f", {one.time:.2f} s"
    panels = tuple(panels_of(Reply(answer, explanation=explanation)))
    return FaceExplanation(f"{where}{at}: score {one.score:.4f}", panels, tuple(explanation.without.items()))
