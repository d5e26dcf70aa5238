"""The score of each person over the time of a video, as a plot."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from addnet.colours import FAKE, REAL, SERIES
from addnet.inference.answers import UNDECIDED, Answer, by_track

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _colour(answer: Answer) -> str:
    if answer.verdict == UNDECIDED:
        return "0.4"
    return FAKE if answer.score is not None and answer.score > answer.threshold else REAL


def timeline_plot(answer: Answer) -> Figure:
    """Plots scores over seconds (frame numbers if the file has no times), one line per person, with the threshold.

    If there are several people, each line is named by the person's track in the answer.

    Args:
        answer: The answer about a video with at least one face.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axis = figure.subplots()
    timed = all(face.time is not None for face in answer.faces)
    tracks = by_track(answer.faces)
    looks = [(colour, style) for style in ("-", "--", ":") for colour in SERIES]
    for (track, faces), (colour, style) in zip(tracks.items(), cycle(looks), strict=False):
        places = [float(face.time if timed and face.time is not None else face.frame or 0) for face in faces]
        label = f"track {track}" if answer.people > 1 else "score"
        scores = [face.score for face in faces]
        look: dict[str, Any] = {"color": colour, "linestyle": style, "linewidth": 1.2, "marker": "o", "markersize": 3}
        axis.plot(places, scores, label=label, **look)
    axis.axhline(answer.threshold, color="0.4", linestyle="--", linewidth=1, label=f"threshold {answer.threshold:.3f}")
    if answer.score is not None:
        label = f"video {answer.score:.3f}: {answer.verdict}{answer.by_whom}"
        axis.axhline(answer.score, color=_colour(answer), linewidth=1.5, label=label)
    axis.set(xlabel="seconds" if timed else "frame", ylabel="score of fake", ylim=(-0.02, 1.02))
    figure.legend(fontsize="small", loc="outside upper right", ncols=4)  # outside, so that it hides no score
    return figure
