"""Tracks of a video → people: tracks that cuts and gaps have split are merged again by the faces' descriptors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.faces.descriptors import SAME_PERSON


def people_of(frames: Iterable[Sequence[int]], looks: Mapping[int, NDArray[np.float32]]) -> dict[int, int]:
    """Assigns each track to a person.

    Tracks are merged from the most similar pair on, as long as their descriptors are nearer than `SAME_PERSON`. Tracks
    that occur in the same frame are different people, however similar.

    Args:
        frames: The track numbers of the faces of each frame.
        looks: The descriptor of each track; a track without one remains a person of its own.

    Returns:
        Person number by track; people are numbered from 0, in the order in which their tracks begin.

    Example:
        >>> looks = {0: np.zeros(2), 1: np.ones(2), 2: np.full(2, 0.1)}
        >>> people_of([[0, 1], [2]], looks)
        {0: 0, 1: 1, 2: 0}
    """
    together: dict[int, set[int]] = {}  # track → tracks that share a frame with it, itself included
    for tracks in frames:
        for track in tracks:
            together.setdefault(track, set()).update(tracks)
    groups = {track: {track} for track in sorted(together)}  # track → all tracks of the same person
    for _, one, other in sorted(_pairs(sorted(together), looks)):
        mine, theirs = groups[one], groups[other]
        if mine is theirs or any(together[track] & theirs for track in mine):
            continue
        mine |= theirs
        groups |= dict.fromkeys(theirs, mine)
    firsts = sorted({min(group) for group in groups.values()})
    return {track: firsts.index(min(group)) for track, group in groups.items()}


def _pairs(tracks: Sequence[int], looks: Mapping[int, NDArray[np.float32]]) -> Iterable[tuple[float, int, int]]:
    """Pairs of tracks that may be one person, each preceded by their distance."""
    known = [track for track in tracks if track in looks]
    for place, one in enumerate(known):
        for other in known[place + 1 :]:
            if (distance := float(np.linalg.norm(looks[one] - looks[other]))) < SAME_PERSON:
                yield distance, one, other
