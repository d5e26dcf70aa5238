"""Which images are frames of one video, and which videos belong together: guessed from names of files and folders.

A group is derived from the video's name, so that no video is divided between groups. Where names don't show whether a
number counts frames or images, `doubts.py` reports it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from addnet.data.layouts.image_names import COMMON_WORDS, Name, parse_name, without_class, words
from addnet.faces.formats import VIDEO_SUFFIXES

# folders of these names, and of words for classes, hold what a method made, not the frames of a video
_METHODS = frozenset(("simswap", "stylegan", "stylegan2", "stylegan3"))
_PAIR = re.compile(r"(\d{3})_(\d{3})")
_KNOWN = re.compile(r"\d{3}_\d{3}|id\d+(?:_id\d+)?_\d{4}")
_FACE_NUMBER = re.compile(r".*[_\-. ]\d+[_\-. ]\d")
_ONE_FACE = 1.5  # average faces per frame up to which a last digit is taken for the number of a face


class Guess(NamedTuple):
    """The video and the group that an image is guessed to belong to.

    Attributes:
        video: The video, a path below the folder of its class.
        group: What must not be split up; a function of `video`.
        counted: Whether the image counts as a separate video only because nothing marks its number as a frame's.
    """

    video: str
    group: str
    counted: bool = False


def guess(paths: Iterable[str]) -> list[Guess]:
    """Guesses video and group of each image, from the names of all images of the data set.

    A folder is a video, and so is what flat files have in common before their frame numbers. A folder whose files are
    named after several videos, or that is named after a method or a kind of image, is not a video.

    Args:
        paths: Paths of the images, relative to the folders of their classes.

    Example:
        >>> guess(["clip_0001_0003.jpg", "clip_0001_0004.jpg"])[0]
        Guess(video='clip_0001', group='clip_0001', counted=False)
        >>> guess(["v1/0001.png", "img_0001.jpg"])
        [Guess(video='v1', group='v1', counted=False), Guess(video='img_0001', group='img_0001', counted=True)]
    """
    split = [PurePosixPath(path) for path in paths]
    names = _parsed([path.stem for path in split])
    parents = [str(path.parent) if path.parent.parts else "" for path in split]
    inside: dict[str, list[Name]] = defaultdict(list)
    for parent, name in zip(parents, names, strict=True):
        inside[parent].append(name)
    whole = {parent: _is_video(parent, found) for parent, found in inside.items()}
    videos, groups, counted = [], [], []
    for parent, name in zip(parents, names, strict=True):
        own = name.video or parent.rpartition("/")[2] or "frames"
        videos.append(parent if whole[parent] else f"{parent}/{own}".lstrip("/"))
        groups.append(_named_folder(parent) if whole[parent] else own)
        counted.append(name.counted and not whole[parent])
    titles = _groups(groups, counted)
    return [Guess(*found) for found in zip(videos, titles, counted, strict=True)]


def guess_groups(videos: Sequence[str]) -> list[str]:
    """Guesses the groups of videos from their names alone.

    Example:
        >>> guess_groups(["abc", "abc_def", "clip_0001"])
        ['abc', 'abc', 'clip_0001']
    """
    names = [re.sub(r"\.\w+$", "", name) if name.lower().endswith(VIDEO_SUFFIXES) else name for name in videos]
    return _groups(names, [not parse_name(name).tells for name in names])


def video_of(path: str) -> str | None:
    """The video that the path of a single image, given without suffix, names; None if the file's name doesn't say.

    Example:
        >>> video_of("crops/clip frame 12"), video_of("v1/0001")
        ('crops/clip', None)
    """
    parent, slash, stem = path.rpartition("/")
    name = parse_name(stem)
    return f"{parent}{slash}{name.video}" if name.video and not name.counted else None


def _parsed(stems: Sequence[str]) -> list[Name]:
    """Parses names; a single digit after the frame number is that of a face, if hardly any frame has two."""
    names = [parse_name(stem) for stem in stems]
    # positions of the names that may end in a frame number and a face number, such as clip_0012_0
    found = [number for number, stem in enumerate(stems) if _FACE_NUMBER.fullmatch(stem) and names[number].tells]
    frames: dict[str, set[str]] = defaultdict(set)
    for number in found:
        inner = parse_name(names[number].video)
        frames[inner.video if inner.tells else ""].add(names[number].video)
    many = sum(len(of_video) for of_video in frames.values())  # frames, if the last digit is that of a face
    if found and len(found) == sum(name.tells for name in names) and len(found) <= _ONE_FACE * many > 2 * len(frames):
        for number in found:
            names[number] = parse_name(names[number].video)
    return names


def _is_video(folder: str, names: Sequence[Name]) -> bool:
    """Whether the images in a folder are frames of one video."""
    if not _named_folder(folder):
        return False
    telling = [name.video for name in names if name.tells]
    different = set(telling)
    if len(different) < 2 or len(telling) < len(names):
        return True
    if all(_KNOWN.fullmatch(video) for video in different):
        return False
    without_digits = {re.sub(r"\d+", "0", video) for video in different}
    return len(without_digits) < 2 or len(names) < 2 * len(different)


def _named_folder(folder: str) -> str:
    """The last part of a path that may be the name of a video; empty if there is none."""
    for part in reversed(folder.split("/")):
        name = parse_folder(part)
        if name.lower() not in COMMON_WORDS | _METHODS | {""}:
            return name
    return ""


def parse_folder(name: str) -> str:
    """The name of a video, from that of its folder.

    Example:
        >>> parse_folder("001.mp4")
        '001'
    """
    return name.rpartition(".")[0] if name.lower().endswith(VIDEO_SUFFIXES) else name


def _groups(names: Sequence[str], whole: Sequence[bool]) -> list[str]:
    """Groups of videos, from their names; `whole` says which names are groups as they are."""
    bare = [without_class(name) for name in names]
    firsts = {name: _first_words(name) for name in set(bare)}
    pairs = _pairs(firsts)
    return [
        name if counted else pairs.get(name) or pairs.get(firsts[name]) or firsts[name]
        for name, counted in zip(bare, whole, strict=True)
    ]


def _first_words(name: str) -> str:
    """A name up to the first `_` after a distinctive word: `abc` of `abc_def`, `clip_0001` of `clip_0001_b`."""
    parts = name.strip("_").split("_")
    for count in range(1, len(parts)):
        if any(word.lower() not in COMMON_WORDS for word in words(parts[count - 1])):
            return "_".join(parts[:count])
    return name.strip("_") or name


def _pairs(names: Iterable[str]) -> dict[str, str]:
    """Name → group for pairs as in FaceForensics++ (`001_870`, `870_001` and both ids), if each id is in one pair."""
    partners: dict[str, set[str]] = defaultdict(set)
    found = [match.groups() for name in names if (match := _PAIR.fullmatch(name))]
    for one, other in found:
        partners[one].add(other)
        partners[other].add(one)
    if any(len(others) > 1 for others in partners.values()):
        return {}
    return {one: "_".join(sorted((one, *others))) for one, others in partners.items()}
