"""Scores of the frames of a video → the frames above the threshold, and the times over which they follow each other."""

from __future__ import annotations

from typing import Any

from addnet.inference.answers import Answer, FaceAnswer, by_track


def above_threshold(answer: Answer, threshold: float) -> dict[str, Any]:
    """Frames with scores above a threshold, and ranges of them that follow each other among those that were looked at.

    A range is of one person. It ends at a frame that was looked at and in which that person isn't above the threshold;
    nothing is known of what lies between frames that were looked at.

    Args:
        answer: About a video.
        threshold: Of a frame's score.

    Returns:
        `threshold`, `frames`: each with `frame`, `time`, `track`, `score`; `ranges`: each with `track`, `from_frame`,
        `to_frame`, `from_time`, `to_time`, `frames` (how many of them were looked at).
    """
    found = [face for face in answer.faces if face.score > threshold]
    ranges = [
        _told(track, part)
        for track, faces in by_track(answer.faces).items()
        for part in _runs(faces, answer.looked_at, threshold)
    ]
    frames = [{"frame": f.frame, "time": f.time, "track": f.track, "score": f.score} for f in found]
    return {"threshold": threshold, "frames": frames, "ranges": ranges}


def _runs(faces: list[FaceAnswer], looked_at: tuple[int, ...], threshold: float) -> list[list[FaceAnswer]]:
    """The faces of one person above a threshold, in runs without a frame in between that was looked at."""
    place = {number: index for index, number in enumerate(looked_at)}
    runs: list[list[FaceAnswer]] = []
    for face in (face for face in faces if face.score > threshold):
        here = place.get(face.frame or 0, -2)
        if runs and here - place.get(runs[-1][-1].frame or 0, -2) <= 1:
            runs[-1].append(face)
        else:
            runs.append([face])
    return runs


def _told(track: int, faces: list[FaceAnswer]) -> dict[str, Any]:
    first, last = faces[0], faces[-1]
    return {
        "track": track,
        "from_frame": first.frame,
        "to_frame": last.frame,
        "from_time": first.time,
        "to_time": last.time,
        "frames": len({face.frame for face in faces}),
    }
