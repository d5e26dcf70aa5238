"""An answer → the sentences of the page."""

from __future__ import annotations

from dataclasses import dataclass

from addnet.evaluation import Decision
from addnet.inference.answers import NO_FACE, UNDECIDED, UNUSABLE, Answer
from addnet.wording import count

NOTICE = (
    "A verdict is an estimate by a network that recognises only the manipulations it was trained on: a hint for "
    "someone who has other evidence, not a proof, and never enough to decide about a person."
)
KEPT = "Files stay on this machine and are deleted as soon as they have been scored."
FAILED = "The program failed on this file; its terminal shows the error. The page still works: try another file."
_STEPS = {
    "detector": "by the landmarker",
    "upsampled": "by the landmarker, in the image at twice its size",
    "padded": "by the landmarker, in the image with a border",
    "padded_upsampled": "by the landmarker, in the image at twice its size and with a border",
    "whole_picture": "by treating the whole image as a face",
}


@dataclass(frozen=True)
class Words:
    """An answer in words.

    Attributes:
        headline: The verdict.
        tone: `fake`, `real` or `none`, for the colour and the sign beside the headline.
        probability: The calibrated probability in words; empty without a verdict.
        lines: Sentences below the headline.
    """

    headline: str
    tone: str
    probability: str
    lines: tuple[str, ...]


def words_of(answer: Answer, decision: Decision, *, fake: str) -> Words:
    """Puts an answer into words.

    Args:
        answer: The answer about an image or video.
        decision: The detector's threshold and temperature for images or for videos, as the answer is.
        fake: Name of the class of fakes.
    """
    if answer.verdict == UNUSABLE:
        return Words(f"This {answer.kind} can't be used", "none", "", (_sentence(answer.reason),))
    if answer.verdict == NO_FACE or answer.score is None or answer.probability is None:
        where = "in this image" if answer.kind == "image" else "in any of the frames examined"
        line = f"No face was found {where}, so there is no score. Try one with a larger face, seen from the front."
        return Words("No face found", "none", "", (line, *_about_video(answer)))
    at_limit = answer.probability in decision.limits and 0 < answer.probability < 1
    source = decision.calibration + ("; the most extreme value that validation supports" if at_limit else "")
    return Words(
        answer.verdict.capitalize(),
        "none" if answer.verdict == UNDECIDED else "fake" if answer.verdict == fake else "real",
        f"Probability of {fake}: {percent(answer.probability)}, {source}",
        (_score(answer, decision), *_weight(answer), *_about_face(answer), *_about_video(answer)),
    )


def percent(share: float) -> str:
    """Formats a share as a percentage; never as 0 or 100 %, a certainty that no network has.

    Example:
        >>> percent(0.9312), percent(0.99999)
        ('93.1 %', 'above 99.9 %')
    """
    if share > 0.999:
        return "above 99.9 %"
    return "below 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def _score(answer: Answer, decision: Decision) -> str:
    above = answer.score is not None and answer.score > answer.threshold
    what = "The network's score" if answer.kind == "image" else "The mean score over the frames with a face"
    if answer.verdict == UNDECIDED:
        return f"{_sentence(answer.reason)} {what} is {answer.score:.4f}; fake above {decision.stated}."
    line = f"{what} is {answer.score:.4f}, {'above' if above else 'not above'} the threshold: {decision.stated}."
    if answer.probability is not None and above != (answer.probability > 0.5):
        line += " The threshold decides; it is not at a probability of 50 %."
    return line


def _weight(answer: Answer) -> list[str]:
    if not answer.evidence:
        return []
    line = f"Weight of evidence: {answer.evidence}; above 0 it is evidence for a fake, below 0 against one"
    return [f"{line}, provided that the file is like those that it was calibrated on."]


def _about_face(answer: Answer) -> list[str]:
    if answer.kind != "image" or not answer.faces:
        return []
    step = answer.faces[0].step
    which = f"The largest of {answer.people} faces" if answer.others else "The largest face"
    return [f"{which} was scored. It was found {_STEPS.get(step, f'by: {step}')}."]


def _about_video(answer: Answer) -> list[str]:
    if answer.kind != "video":
        return []
    without = answer.frames_without_face
    examined = count(answer.frames, "frame was", "frames were")
    lines = [f"{examined} examined; {without or 'none'} of them without a face."]
    if answer.others:
        lines.append(
            f"Of {answer.people} people, the one who is visible longest was scored (track {answer.track}, in "
            f"{count(len(answer.deciding), 'frame')}); {count(answer.others, 'other was', 'others were')} not scored."
        )
    return [*lines, *(_sentence(note) for note in answer.notes)]


def _sentence(text: str) -> str:
    """Returns a text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
