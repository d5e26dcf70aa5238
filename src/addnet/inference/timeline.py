"""The score of each person over the time of a video, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from addnet.inference.answers import Answer, by_track

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def timeline_figure(answer: Answer) -> Figure:
    """Scores over seconds (frame numbers where the file has no times), a line a person, with the threshold.

    Where there were several people, each is named by the track of the answer.

    Args:
        answer: About a video with at least one face.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axis = figure.subplots()
    timed = all(face.time is not None for face in answer.faces)
    tracks = by_track(answer.faces)
    for track, faces in tracks.items():
        places = [float(face.time if timed and face.time is not None else face.frame or 0) for face in faces]
        label = f"track {track}" if answer.people > 1 else "score"
        axis.plot(places, [face.score for face in faces], marker="o", markersize=3, linewidth=1.2, label=label)
    axis.axhline(answer.threshold, color="0.4", linestyle="--", linewidth=1, label=f"threshold {answer.threshold:.3f}")
    if answer.score is not None:
        said = f"video {answer.score:.3f}: {answer.verdict}{answer.by_whom}"
        axis.axhline(answer.score, color="C3", linewidth=1, label=said)
    axis.set(xlabel="seconds" if timed else "frame", ylabel="score of fake", ylim=(-0.02, 1.02))
    figure.legend(fontsize="small", loc="outside upper right", ncols=4)  # over no score
    return figure
