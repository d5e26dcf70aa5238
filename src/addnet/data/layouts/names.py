"""What names of videos tell in data sets that others are built from: source videos, identities, scenes.

Groups are named here once, so that the same source video has the same group in every data set made from it, and a
leak between two data sets is found.

Sources: FaceForensics++ `dataset/splits` lists pairs of ids, and a fake is named by both (FaceForensics#18).
Celeb-DF: "aa_bb_cc.mp4, aa is the original id, bb is swapped id, cc is the video index" (its author in
celeb-deepfakeforensics#6). DeepFakeDetection: `01__hugging_happy`, `01_03__hugging_happy__ISF9SP4G`; what the order
of the two actors means is not documented, and nothing here depends on it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

FACEFORENSICS = "FaceForensics++"
CELEBDF = "Celeb-DF"
DFD = "DeepFakeDetection"

_PAIR = re.compile(r"(\d{3})(?:_(\d{3}))?")
_CELEB = re.compile(r"(id\d+)(?:_(id\d+))?_(\d+)")
_SCENE = re.compile(r"(\d{2})(?:_(\d{2}))?__(.+?)(?:__([A-Z0-9]+))?")


class Origin(NamedTuple):
    """What a video was made of.

    Attributes:
        identities: Ids of those to be seen or put in.
        source: The video that was changed, or the scene; both together are unique in the data set.
    """

    identities: tuple[str, ...]
    source: str


def pair_of(name: str) -> tuple[str, ...] | None:
    """The source ids of a FaceForensics++ video.

    Example:
        >>> pair_of("071_054"), pair_of("071"), pair_of("id0_0001")
        (('071', '054'), ('071',), None)
    """
    match = _PAIR.fullmatch(name)
    return tuple(part for part in match.groups() if part) if match else None


def pair_group(first: str, second: str) -> str:
    """The group of both originals of a pair and of all fakes made of them, whichever comes first."""
    return f"{FACEFORENSICS}/{'_'.join(sorted((first, second)))}"


def celeb_origin(name: str) -> Origin | None:
    """The identities and the target video of a Celeb-DF video.

    Example:
        >>> celeb_origin("id0_id16_0002")
        Origin(identities=('id0', 'id16'), source='id0_0002')
    """
    match = _CELEB.fullmatch(name)
    if not match:
        return None
    return Origin(_present(match[1], match[2]), f"{match[1]}_{match[3]}")


def celeb_group(name: str) -> str:
    """The group of a Celeb-DF video: its target video; of an additional YouTube video: itself.

    The same in both versions: version 2 goes on from version 1 with the same names.
    """
    origin = celeb_origin(name)
    return f"{CELEBDF}/{origin.source if origin else f'YouTube-real/{name}'}"


def scene_of(name: str) -> Origin | None:
    """The actors and the scene of a DeepFakeDetection video.

    Example:
        >>> scene_of("01_03__hugging_happy__ISF9SP4G")
        Origin(identities=('01', '03'), source='hugging_happy')
    """
    match = _SCENE.fullmatch(name)
    return Origin(_present(match[1], match[2]), match[3]) if match else None


def scene_group(scene: str) -> str:
    """The group of a scene: no source video of one scene is used in another."""
    return f"{DFD}/{scene}"


def _present(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name)
