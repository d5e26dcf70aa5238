"""Scores of the frames of a video → the frames above the threshold, and the ranges of consecutive ones."""

from __future__ import annotations

from typing import Any

from addnet.inference.answers import Answer, FaceAnswer, by_track


def above_threshold(answer: Answer, threshold: float) -> dict[str, Any]:
    """Returns the frames with scores above a threshold, and the ranges of examined frames that follow each other.

    A range is of one person. It ends before an examined frame in which that person isn't above the threshold. Nothing
    is known about the frames between examined ones.

    Args:
        answer: The answer about a video.
        threshold: Threshold of a frame's score.

    Returns:
        `threshold`; `frames`: each with `frame`, `time`, `track`, `score`; `ranges`: each with `track`, `from_frame`,
        `to_frame`, `from_time`, `to_time`, `frames` (how many of them were examined).
    """
    found = [face for face in answer.faces if face.score > threshold]
    ranges = [
        _range(track, part)
        for track, faces in by_track(answer.faces).items()
        for part in _runs(faces, answer.looked_at, threshold)
    ]
    frames = [{"frame": f.frame, "time": f.time, "track": f.track, "score": f.score} for f in found]
    return {"threshold": threshold, "frames": frames, "ranges": ranges}


def _runs(faces: list[FaceAnswer], looked_at: tuple[int, ...], threshold: float) -> list[list[FaceAnswer]]:
    """Groups the faces of one person above a threshold into runs of consecutive examined frames."""
    place = {number: index for index, number in enumerate(looked_at)}  # frame number → position among examined frames
    runs: list[list[FaceAnswer]] = []
    for face in (face for face in faces if face.score > threshold):
        here = place.get(face.frame or 0, -2)
        if runs and here - place.get(runs[-1][-1].frame or 0, -2) <= 1:
            runs[-1].append(face)
        else:
            runs.append([face])
    return runs


def _range(track: int, faces: list[FaceAnswer]) -> dict[str, Any]:
    first, last = faces[0], faces[-1]
    return {
        "track": track,
        "from_frame": first.frame,
        "to_frame": last.frame,
        "from_time": first.time,
        "to_time": last.time,
        "frames": len({face.frame for face in faces}),
    }
