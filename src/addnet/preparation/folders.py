"""Names the folder for the crops of each video: inside the output folder, distinct, and never inside another one."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_LONGEST = 120  # bytes of one name; file systems allow 255
_ILLEGAL = re.compile(r'[<>:"|?*\x00-\x1f\x7f]|[. ]$')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def crop_folders(video_ids: Iterable[str]) -> list[str]:
    """The folder of each video, relative to the output folder.

    It is the id itself if that is valid on every file system; otherwise the valid part of it and a hash.

    Args:
        video_ids: Distinct ids, with parts separated by slashes.

    Example:
        >>> crop_folders(["UADFV/real/0000", "clips/a", "clips/a/b"])
        ['UADFV/real/0000', 'clips/a-7ff20178', 'clips/a/b']
    """
    ids = list(video_ids)
    names = [_portable(video_id) for video_id in ids]
    taken = Counter(_alike(name) for name in names)
    above = {parent for name in names for parent in _parents(_alike(name))}
    return [
        name if name == video_id and taken[_alike(name)] == 1 and _alike(name) not in above else _marked(name, video_id)
        for name, video_id in zip(names, ids, strict=True)
    ]


def _portable(video_id: str) -> str:
    parts = [part for part in video_id.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(_short(f"_{part}" if _RESERVED.fullmatch(part) else part) for part in parts) or "video"


def _short(name: str) -> str:
    return _ILLEGAL.sub("_", name.encode()[:_LONGEST].decode(errors="ignore"))


def _marked(name: str, video_id: str) -> str:
    return f"{name}-{hashlib.sha256(video_id.encode()).hexdigest()[:8]}"


def _alike(name: str) -> str:
    """A form that is equal for names that some file systems treat as the same."""
    return unicodedata.normalize("NFC", name).casefold()


def _parents(name: str) -> Iterable[str]:
    parts = name.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))
