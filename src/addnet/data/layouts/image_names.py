"""What the name of a single image tells: which video it shows, and which frame of it.

Tools that extract frames from videos write the video's name and a number: `clip_000123.jpg`, `clip frame 12.png`,
`clip.mp4_frame_10.jpg`, `frame10_clip.jpg`, `clip_f12_face_0.png`. Collections of single images only number them:
`img_0001.jpg`, `real_00001.jpg`, `image (3).jpg`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from addnet.data.layouts.manifest_columns import LABELS, SPLITS
from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES

REAL_WORDS, FAKE_WORDS = (
    frozenset(word for word, label in LABELS.items() if label == wanted and not word.isdigit()) for wanted in (0, 1)
)
CLASS_WORDS = REAL_WORDS | FAKE_WORDS
SPLIT_WORDS = frozenset(SPLITS)
_IMAGES = ("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos")
_FACES = ("face", "faces", "crop", "crops", "cropped", "aligned", "resized", "frame", "frames", "frm")
IMAGE_WORDS = frozenset((*_IMAGES, *_FACES))
_COUNTED = frozenset(
    ("video", "videos", "vid", "clip", "clips", "sequence", "seq", "scene", "sample", "dsc", "screenshot", "copy")
)
_GRADES = frozenset(("easy", "mid", "hard"))  # in names of a set of single images on Kaggle
COMMON_WORDS = IMAGE_WORDS | _COUNTED | _GRADES | CLASS_WORDS | SPLIT_WORDS

_SEP = r"[_\-. ]"
# except suffixes that are numbers (`.264`): in names, these count something
_SUFFIXES = "|".join(suffix[1:] for suffix in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES) if not suffix[1:].isdigit())
_SUFFIX = re.compile(rf"\.(?:{_SUFFIXES})(?=$|{_SEP})", re.IGNORECASE)
_EXPORTED = re.compile(r"_(?:jpe?g|png)\.rf\.[0-9a-f]{8,}$", re.IGNORECASE)  # Roboflow's; copies of one image differ
_CELEB = re.compile(rf"(id\d+(?:_id\d+)?_\d{{4}})(?:{_SEP}+(?:frame{_SEP}?)?(\d+))?", re.IGNORECASE)
_LEADING = re.compile(rf"(?:frame|frm){_SEP}?(\d+){_SEP}+(?=.*[^\W\d_])", re.IGNORECASE)
_FACE = re.compile(rf"(?<=\w){_SEP}+(?:face|crop|person|track|det|bbox){_SEP}?\d+$", re.IGNORECASE)
_FRAME = re.compile(rf"(?:(?:^|{_SEP}+|(?<=\d))(?:frames?|frm){_SEP}*|{_SEP}+f)\(?(\d+)\)?$", re.IGNORECASE)
_GLUED = "|".join(sorted(IMAGE_WORDS | CLASS_WORDS, key=len, reverse=True))
_NUMBER = re.compile(rf"(?:^|{_SEP}+|(?:^|(?<=[_\-. ]))(?:{_GLUED}))[(\[]?(\d+)(?:ms|s)?[)\]]?$", re.IGNORECASE)
_CLASS_END = re.compile(rf"(?:{_SEP}+|(?<=\d))(?:{'|'.join(sorted(CLASS_WORDS))})$", re.IGNORECASE)
_IMAGE_END = re.compile(rf"{_SEP}+(?:{'|'.join(sorted(IMAGE_WORDS))})$", re.IGNORECASE)
_SPLIT_END = re.compile(rf"{_SEP}+(?:{'|'.join(sorted(SPLIT_WORDS))})$", re.IGNORECASE)
# checked first, because regular expressions are slow and there are many names
_ENDS, _SPLIT_ENDS = tuple(CLASS_WORDS | IMAGE_WORDS), tuple(SPLIT_WORDS)
_FACE_WORDS = ("face", "crop", "person", "track", "det", "bbox")
_WORD = re.compile(r"[^_\-. ()\[\]]+")


class Name(NamedTuple):
    """What a name tells.

    Attributes:
        video: What the frames of one video have in common; for an image that is merely numbered, the image itself.
        frame: Number of the frame as written; empty if there is none.
        tells: Whether the name says which video it is. `img_0001` does not: it may be a single image or a frame; nor
            does `frame_0001`.
        counted: Whether `video` is the image itself, because nothing marks its number as a frame's.
    """

    video: str
    frame: str
    tells: bool
    counted: bool = False


def parse_name(stem: str) -> Name:
    """Parses the name of an image, given without suffix.

    Example:
        >>> parse_name("clip_0001_0003"), parse_name("id0_id1_0000_12").video
        (Name(video='clip_0001', frame='0003', tells=True, counted=False), 'id0_id1_0000')
        >>> parse_name("img_0001")
        Name(video='img_0001', frame='0001', tells=False, counted=True)
    """
    whole, lower = stem, stem.lower()
    if "." in stem:
        whole = _EXPORTED.sub("", _SUFFIX.sub("", stem)) or stem
    if lower.startswith("id") and (known := _CELEB.fullmatch(whole)):
        return Name(known[1], known[2] or "", tells=True)
    split = _SPLIT_END.search(whole) if lower.endswith(_SPLIT_ENDS) else None
    bare = _without_ends(whole[: split.start()] if split else whole)
    tail = split[0] if split else ""
    if lower.startswith(("frame", "frm")) and (leading := _LEADING.match(bare)):
        return Name(bare[leading.end() :] + tail, leading[1], tells=True)
    if any(word in lower for word in _FACE_WORDS):
        bare = _FACE.sub("", bare)
    number = _FRAME.search(bare) if "f" in lower else None
    explicit = number is not None
    number = number or _NUMBER.search(bare)
    if number is None:
        return Name((bare or whole) + tail, "", tells=has_own_word(bare))
    rest = _without_ends(bare[: number.start()].rstrip("_-. ([") if not explicit else bare[: number.start()])
    if rest and (has_own_word(rest) or any(word.isdigit() for word in words(rest))):
        return Name(rest + tail, number[1], tells=True)
    if explicit:
        return Name(rest + tail, number[1], tells=False)
    return Name(without_class(bare) + tail, number[1], tells=False, counted=True)


def words(name: str) -> list[str]:
    """The words of a name, split at separators.

    Example:
        >>> words("clip-1 (3)_real")
        ['clip', '1', '3', 'real']
    """
    return _WORD.findall(name)


def has_own_word(name: str) -> bool:
    """Whether a name has a word that is neither a number nor common in names of images."""
    return any(not word.isdigit() and word.lower() not in COMMON_WORDS for word in words(name))


def without_class(name: str) -> str:
    """A name without the words for real and fake, so that a fake and its original have the same one.

    Example:
        >>> without_class("real_0001"), without_class("00ab-fake-4e2a"), without_class("fake")
        ('0001', '00ab-4e2a', 'fake')
    """
    parts = re.split(r"([_\-. ]+)", name)
    kept: list[str] = []
    for number in range(0, len(parts), 2):
        if parts[number].lower() not in CLASS_WORDS:
            kept += [parts[number - 1] if kept and number else "", parts[number]]
    return "".join(kept) or name


def _without_ends(name: str) -> str:
    """A name without the words at its end that say what kind of image it is."""
    while name.lower().endswith(_ENDS) and (end := _CLASS_END.search(name) or _IMAGE_END.search(name)):
        if not end.start():
            break
        name = name[: end.start()]
    return name
