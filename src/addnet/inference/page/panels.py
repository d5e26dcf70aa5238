"""An answer and its explanation → images that are embedded in the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.colours import BLACK
from addnet.faces.images import ImageArray
from addnet.faces.sheet import overlay
from addnet.inference.answering.asking import Reply
from addnet.inference.answers import Answer
from addnet.inference.explaining import Explanation
from addnet.inference.sheet import heated, stretched
from addnet.inference.timeline import timeline_plot
from addnet.wording import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 320  # pixels: side of a face on the page
_BOX, _POINT = (255, 176, 0), (0, 192, 255)  # amber and sky blue: safe for colour blindness, on light and dark skin


@dataclass(frozen=True)
class Panel:
    """An image on the page.

    Attributes:
        title: Title above the image.
        source: The image as a data URI.
        alt: Alternative text for screen readers.
        caption: Explanation below the image.
    """

    title: str
    source: str
    alt: str
    caption: str


def panels_of(said: Reply) -> list[Panel]:
    """Returns the image with boxes and, if there is an explanation, the aligned face, the mask and the evidence."""
    panels = []
    if said.image is not None:
        panels.append(_whole(said.image, said.factor, said.answer))
    if said.explanation is None:
        return panels
    panels += [_face(said.explanation), _mask(said.explanation), _heat(said.explanation)]
    if said.explanation.band is not None and said.explanation.response is not None:
        panels += [_band(said.explanation.band), _response(said.explanation.response)]
    return panels


def timeline_of(answer: Answer) -> Panel | None:
    """Returns the plot of a video's scores over time; None for an image, and without a face."""
    if answer.kind != "video" or not answer.faces:
        return None
    scores = [face.score for face in answer.faces]
    alt = f"Scores of {count(len(scores), 'frame')}, from {min(scores):.2f} to {max(scores):.2f}"
    whose = "a face" if answer.people < 2 else "that face"
    caption = f"Each dot is a frame that was examined; frames without {whose} have none."
    return Panel("Score over time", plot_uri(timeline_plot(answer)), alt, caption)


def _whole(image: ImageArray, factor: float, answer: Answer) -> Panel:
    canvas = image.copy()
    for face in answer.faces:
        if face.box is not None:
            left, top, right, bottom = (round(side * factor) for side in face.box)
            cv2.rectangle(canvas, (left, top), (right, bottom), _BOX, max(2, round(max(canvas.shape) / 200)))
    caption = "The box marks the face that was scored." if answer.faces else "No face was found in it."
    return Panel("Your image", image_uri(canvas), f"The image {answer.path}", caption)


def _face(explanation: Explanation) -> Panel:
    image, landmarks = explanation.seen.image, explanation.seen.landmarks
    canvas = _enlarged(image)
    for across, down in [] if landmarks is None else landmarks * (canvas.shape[0] / image.shape[0]):
        cv2.circle(canvas, (round(float(across)), round(float(down))), 2, _POINT, cv2.FILLED, cv2.LINE_AA)
    caption = "As the network sees it, levelled and cropped, with its 68 landmarks."
    return Panel("Face and landmarks", image_uri(canvas), "The aligned face under its landmarks", caption)


def _mask(explanation: Explanation) -> Panel:
    shown = overlay(explanation.seen.image, explanation.mask)
    caption = "The network attends to the bright parts."
    return Panel("Attention mask", image_uri(_enlarged(shown)), "The face, dimmed outside the mask", caption)


def _heat(explanation: Explanation) -> Panel:
    shown = heated(explanation.seen.image, explanation.heat)
    caption = f"Grad-CAM at {explanation.block}: yellow parts are the strongest evidence for a fake."
    if not explanation.heat.any():
        caption = f"Grad-CAM at {explanation.block}: no evidence for a fake."
    return Panel("Evidence for fake", image_uri(_enlarged(shown)), "The face under a heat map", caption)


def _band(band: NDArray[np.float32]) -> Panel:
    shown = np.asarray(np.rint(255 * stretched(band)), dtype=np.uint8)
    caption = "The output of the bandpass layer: grey is zero."
    return Panel("Filtered image", image_uri(_enlarged(shown)), "The face after the bandpass layer", caption)


def _response(response: tuple[NDArray[np.float32], NDArray[np.float32]]) -> Panel:
    from matplotlib.figure import Figure

    frequencies, gain = response
    figure = Figure(figsize=(3.2, 3.2), layout="constrained")
    axis = figure.subplots()
    axis.plot(frequencies, gain, color=BLACK, linewidth=2)
    axis.set(xlabel="cycles per pixel", ylabel="gain", xlim=(0, 0.5), ylim=(0, None))
    axis.grid(alpha=0.3)
    peak = float(frequencies[int(np.argmax(gain))])
    caption = f"Gain of the bandpass layer for coarse and fine detail; largest at {peak:.2f} cycles per pixel."
    return Panel("Frequency response", plot_uri(figure), f"A curve with its peak at {peak:.2f}", caption)


def _enlarged(image: ImageArray) -> ImageArray:
    return np.asarray(cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def image_uri(image: ImageArray) -> str:
    """Returns an RGB image (H, W, 3) uint8 as a data URI."""
    from addnet.data.synthetic.generate import encode

    return _uri("jpeg", encode(image, quality=90))


def plot_uri(figure: Figure) -> str:
    """Returns a plot as a data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return _uri("png", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
