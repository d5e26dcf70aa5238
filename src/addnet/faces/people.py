"""Tracks of a video → people: what cuts and gaps have parted is put together again by how the faces look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.faces.descriptors import SAME_PERSON


def people_of(frames: Iterable[Sequence[int]], looks: Mapping[int, NDArray[np.float32]]) -> dict[int, int]:
    """Which person each track is of.

    Tracks are put together from the likest pair on, as long as descriptors are nearer than `SAME_PERSON`. Two that are
    in one frame are two people, however much alike.

    Args:
        frames: The track numbers of the faces of each frame.
        looks: A descriptor of each track; a track without one stays a person of its own.

    Returns:
        A person's number by track; people count from 0, in the order in which their tracks begin.

    Example:
        >>> looks = {0: np.zeros(2), 1: np.ones(2), 2: np.full(2, 0.1)}
        >>> people_of([[0, 1], [2]], looks)
        {0: 0, 1: 1, 2: 0}
    """
    together: dict[int, set[int]] = {}
    for tracks in frames:
        for track in tracks:
            together.setdefault(track, set()).update(tracks)
    groups = {track: {track} for track in sorted(together)}
    for _, one, other in sorted(_pairs(sorted(together), looks)):
        mine, theirs = groups[one], groups[other]
        if mine is theirs or any(together[track] & theirs for track in mine):
            continue
        mine |= theirs
        groups |= dict.fromkeys(theirs, mine)
    firsts = sorted({min(group) for group in groups.values()})
    return {track: firsts.index(min(group)) for track, group in groups.items()}


def _pairs(tracks: Sequence[int], looks: Mapping[int, NDArray[np.float32]]) -> Iterable[tuple[float, int, int]]:
    """Pairs of tracks that may be one person, with their distance."""
    known = [track for track in tracks if track in looks]
    for place, one in enumerate(known):
        for other in known[place + 1 :]:
            if (distance := float(np.linalg.norm(looks[one] - looks[other]))) < SAME_PERSON:
                yield distance, one, other
