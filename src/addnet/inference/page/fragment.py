"""Words and images → the piece of HTML that the page shows; text that comes from a file is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, Template

from addnet.inference.answering.asking import Reply
from addnet.inference.detector import Detector
from addnet.inference.page.panels import panels_of, timeline_of
from addnet.inference.page.words import FAILED, NOTICE, Words, words_of

_WHOLE_BAR = 0.5  # log odds of a full bar, at least: bars of weaker effects look short
_SIGNS = {"fake": "▲", "real": "●", "none": "○"}


def fragment(said: Reply | None, detector: Detector) -> str:
    """Returns the answer about one file as HTML.

    Args:
        said: From `Visit.ask_safely`; None if the program failed.
        detector: The detector that gave the answer.
    """
    if said is None:
        return _render(words=Words("No answer", "none", "", (FAILED,)))
    answer, explanation = said.answer, said.explanation
    decision = detector.video if answer.kind == "video" else detector.frame
    return _render(
        words=words_of(answer, decision, fake=detector.loaded.class_names[1]),
        answer=answer,
        notice="" if answer.score is None else NOTICE,
        background=detector.background,
        panels=panels_of(said),
        timeline=timeline_of(answer),
        frame=answer.worst if answer.kind == "video" else None,
        organs=bars(explanation.without) if explanation else [],
    )


def bars(losses: Mapping[str, float]) -> list[tuple[str, float, float, float]]:
    """Computes the bars that show how much each organ adds to the log odds of fake, around a middle line.

    Returns:
        For each organ its name, its value, and the start and length of the bar in percent of the full width.
    """
    most = max(_WHOLE_BAR, *(abs(loss) for loss in losses.values())) if losses else _WHOLE_BAR
    shares = {organ: 50 * loss / most for organ, loss in losses.items()}
    return [(organ, losses[organ], 50 + min(share, 0.0), abs(share)) for organ, share in shares.items()]


def welcome(background: Sequence[str] = ()) -> str:
    """Returns the HTML that is shown before the first answer.

    Args:
        background: `Detector.background`.
    """
    what = "Drop an image of a face or a short video, or try one of the drawn examples."
    return _render(words=Words("Nothing here yet", "none", "", (what,)), notice=NOTICE, background=background)


def _render(words: Words, **values: Any) -> str:
    nothing: dict[str, Any] = {
        "answer": None,
        "panels": [],
        "timeline": None,
        "frame": None,
        "organs": [],
        "notice": "",
        "background": (),
    }
    return _template().render(nothing | values, words=words, sign=_SIGNS[words.tone])


@cache
def _template() -> Template:
    text = (resources.files(__package__) / "fragment.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)
