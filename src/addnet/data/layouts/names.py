"""What names of videos tell in data sets that others are built from: source videos, identities, scenes.

All names of groups are made here. A group is named after the source videos that a video was made from: one, or several
as in `FaceForensics++/054_071`. Two groups that share a source become one when both are used (`united`), so that a leak
between two data sets made from the same videos is found, however many of them each names.

Sources: FaceForensics++ `dataset/splits` lists pairs of ids, and a fake is named by both (FaceForensics#18).
Celeb-DF: "aa_bb_cc.mp4, aa is the original id, bb is swapped id, cc is the video index" (its author in
celeb-deepfakeforensics#6). DeepFakeDetection: `01__hugging_happy`, `01_03__hugging_happy__ISF9SP4G`; what the order
of the two actors means is not documented, and nothing here depends on it. DeeperForensics: `000_W101`, an actor's face
in a video of FaceForensics++. UADFV: `0000_fake`, made from `0000` (not verified with its authors). DFDC preview:
`1255229_1260311_C_001` is in the folder of the person filmed, 1260311. Made from Celeb-DF's videos and named after
them: Celeb-DF++ (`id1_id0_0007`, talking faces `id29_0002_test_id08701_…`; the latter from public loaders) and DFDM
(`id28_id20_0008_4dfaker`, by its README `id**_id**_(scene)_(model_name)`).

These data sets share source videos: those made from FaceForensics++ (its FaceShifter, DeeperForensics, the `ff` half of
DF40), those made from Celeb-DF (both versions, Celeb-DF++, DFDM, the `cdf` half of DF40), and each data set with
DeepfakeBench's list of it. DeepFakeDetection is distributed in the tree of FaceForensics++ but was filmed separately,
and shares videos only with its list. DFDC and its preview have no video name in common, and neither documents whether
they share people. FakeAVCeleb (from VoxCeleb2), FFIW10K, UADFV and WildDeepfake are from the internet, and names don't
show what they share with others (`addnet.data audit` finds images that are alike).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

FACEFORENSICS = "FaceForensics++"
CELEBDF = "Celeb-DF"
DFD = "DeepFakeDetection"
DFDC = "DFDC"
DFDCP = "DFDCP"
UADFV = "UADFV"
FFIW = "FFIW10K"
DF40 = "DF40"
WILDDEEPFAKE = "wilddeepfake"
FAKEAVCELEB = "FakeAVCeleb"
KODF = "KoDF"
DEEPSPEAK = "DeepSpeak"
DFD_ACTORS = 28

_PAIR = re.compile(r"(\d{3})(?:_(\d{3}))?")
_CELEB = re.compile(r"(id\d+)(?:_(id\d+))?_(\d+)")
_MADE_OF_CELEB = re.compile(_CELEB.pattern + r"(?:_.+)?")
_SCENE = re.compile(r"(\d{2})(?:_(\d{2}))?__(.+?)(?:__([A-Z0-9]+))?")
_TARGET = re.compile(r"(\d{3})_([MW]\d{3})")
_NUMBERED = re.compile(r"(\d+)(_fake)?")
_FILMED = re.compile(r"(?:\d+_)?(\d+)_[A-Z]_\d+")
_SOURCES = re.compile(rf"((?:{re.escape(FACEFORENSICS)}|{DFD}/[^/]+)/)(\d+(?:_\d+)*)")
_WHOLE_SCENE = re.compile(rf"{DFD}/[^/]+")
_CELEB_FOLDERS = ("Celeb-DF", "DFDM")  # beginnings of the names of folders with videos made from Celeb-DF
# folders below which videos are named after those of FaceForensics++; the last two as DF40 names them
_OF_FACEFORENSICS = frozenset({FACEFORENSICS, "DF40_train", "ff"})


class Origin(NamedTuple):
    """What a video was made from.

    Attributes:
        identities: Ids of the persons shown or inserted.
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


def pair_group(*ids: str) -> str:
    """The group of a video made from one or two videos of FaceForensics++, in either order.

    Example:
        >>> pair_group("071", "054"), pair_group("071")
        ('FaceForensics++/054_071', 'FaceForensics++/071')
    """
    return f"{FACEFORENSICS}/{'_'.join(sorted(ids))}"


def target_of(name: str) -> tuple[str, str] | None:
    """The source id and the actor of a fake of DeeperForensics.

    Example:
        >>> target_of("000_W101"), target_of("000_003")
        (('000', 'W101'), None)
    """
    match = _TARGET.fullmatch(name)
    return (match[1], match[2]) if match else None


def celeb_origin(name: str) -> Origin | None:
    """The identities and the target video of a Celeb-DF video.

    Example:
        >>> celeb_origin("id0_id16_0002")
        Origin(identities=('id0', 'id16'), source='id0_0002')
    """
    return _celeb(_CELEB.fullmatch(name))


def celeb_group(name: str) -> str:
    """The group of a Celeb-DF video: its target video, or for an additional YouTube video that video itself.

    It is the same in both versions: version 2 continues version 1 with the same names.
    """
    origin = celeb_origin(name)
    return celeb_source_group(origin) if origin else own_group(CELEBDF, "YouTube-real", name)


def made_of_celeb(name: str) -> Origin | None:
    """The identities and the target video of a fake that others made from Celeb-DF, whatever follows in its name.

    Example:
        >>> made_of_celeb("id28_id20_0008_4dfaker"), made_of_celeb("id29_0002_test_id08701_a").source
        (Origin(identities=('id28', 'id20'), source='id28_0008'), 'id29_0002')
    """
    return _celeb(_MADE_OF_CELEB.fullmatch(name))


def celeb_source_group(origin: Origin) -> str:
    """The group of a video whose target video is one of Celeb-DF's.

    Example:
        >>> celeb_source_group(Origin(("id28", "id20"), "id28_0008"))
        'Celeb-DF/id28_0008'
    """
    return f"{CELEBDF}/{origin.source}"


def scene_of(name: str) -> Origin | None:
    """The actors and the scene of a DeepFakeDetection video.

    Example:
        >>> scene_of("01_03__hugging_happy__ISF9SP4G")
        Origin(identities=('01', '03'), source='hugging_happy')
    """
    match = _SCENE.fullmatch(name)
    return Origin(_present(match[1], match[2]), match[3]) if match else None


def scene_group(origin: Origin) -> str:
    """The group of a DeepFakeDetection video: what its actors were filmed doing in one scene.

    Example:
        >>> scene_group(Origin(("03", "01"), "hugging_happy"))
        'DeepFakeDetection/hugging_happy/01_03'
    """
    return f"{DFD}/{origin.source}/{'_'.join(sorted(origin.identities))}"


def uadfv_group(name: str) -> str | None:
    """The group of a UADFV video: the number of its original; None if it is not named like one.

    Example:
        >>> uadfv_group("0007_fake"), uadfv_group("clip")
        ('UADFV/0007', None)
    """
    match = _NUMBERED.fullmatch(name)
    return f"{UADFV}/{match[1]}" if match else None


def dfdc_group(original: str) -> str:
    """The group of an original of DFDC and of its fakes."""
    return f"{DFDC}/{original}"


def dfdcp_group(person: str) -> str:
    """The group of a video of the DFDC preview: who was filmed."""
    return f"{DFDCP}/{person}"


def own_group(dataset: str, *parts: str) -> str:
    """The group of a video of a data set that shares source videos with no other, as far as documented.

    Example:
        >>> own_group("FFIW10K", "train", "train_00000000")
        'FFIW10K/train/train_00000000'
    """
    return "/".join((dataset, *parts))


def group_of(folders: Collection[str], name: str) -> str | None:
    """The group of a video of one of these data sets, from its folders and its name; None if it is from none of them.

    Args:
        folders: Names of the folders above it.
        name: Name of the video, without suffix.

    Example:
        >>> group_of(["FaceForensics++", "manipulated_sequences", "FaceSwap", "c23"], "003_000")
        'FaceForensics++/000_003'
        >>> group_of(["UADFV", "fake"], "0000_fake"), group_of(["mine"], "000")
        ('UADFV/0000', None)
    """
    if target := target_of(name):
        return pair_group(target[0])
    if (ids := pair_of(name)) and not _OF_FACEFORENSICS.isdisjoint(folders):
        return pair_group(*ids)
    if scene := scene_of(name):
        return scene_group(scene)
    if celeb_origin(name) or "YouTube-real" in folders:
        return celeb_group(name)
    if (made := made_of_celeb(name)) and any(folder.startswith(_CELEB_FOLDERS) for folder in folders):
        return celeb_source_group(made)
    if UADFV in folders:
        return uadfv_group(name)
    if DFDCP in folders:
        return dfdcp_group(match[1]) if (match := _FILMED.fullmatch(name)) else None
    return dfdc_group(name) if DFDC in folders else None


def sources_of(group: str) -> frozenset[str]:
    """The source videos that a group stands for; for a group that names none, the group itself.

    Example:
        >>> sorted(sources_of("FaceForensics++/000_003")), sorted(sources_of("faces/a_b"))
        (['FaceForensics++/000', 'FaceForensics++/003'], ['faces/a_b'])
    """
    if match := _SOURCES.fullmatch(group):
        return frozenset(match[1] + number for number in match[2].split("_"))
    if _WHOLE_SCENE.fullmatch(group):  # from an index of an earlier version
        return frozenset(f"{group}/{actor:02d}" for actor in range(1, DFD_ACTORS + 1))
    return frozenset({group})


def united(groups: Iterable[str]) -> dict[str, str]:
    """Groups → one name for all that are linked by common sources: that of the group with the most sources.

    Example:
        >>> united(["FaceForensics++/000_003", "FaceForensics++/003", "a"])["FaceForensics++/003"]
        'FaceForensics++/000_003'
    """
    sources = {group: sources_of(group) for group in groups}
    leads: dict[str, str] = {}  # union-find: source → another of the same group, up to a root that leads to itself

    def lead(source: str) -> str:
        while (further := leads.setdefault(source, source)) != source:
            leads[source] = source = leads[further]
        return source

    for parts in sources.values():
        first, *rest = parts
        for other in rest:
            leads[lead(other)] = lead(first)
    names: dict[str, str] = {}
    for group in sorted(sources, key=lambda group: (-len(sources[group]), group)):
        names.setdefault(lead(next(iter(sources[group]))), group)
    return {group: names[lead(next(iter(parts)))] for group, parts in sources.items()}


def _celeb(match: re.Match[str] | None) -> Origin | None:
    return Origin(_present(match[1], match[2]), f"{match[1]}_{match[3]}") if match else None


def _present(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name)
