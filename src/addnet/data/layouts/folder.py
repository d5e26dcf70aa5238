"""`<data_dir>/{train,test}/{real,fake}/…`: the plain folder layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from addnet.data.layouts.listing import Listing
from addnet.errors import UserError
from addnet.faces.formats import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from addnet.faces.walk import iter_pictures, iter_videos
from addnet.index.records import CLASS_NAMES, UNLABELLED, Record, Records

SPLITS = ("train", "test")
_FRAME_NUMBER = re.compile(r"[_-](?:frame)?\d+$")


def list_folder(root: Path, *, group_pattern: str | None = None, video_pattern: str | None = None) -> Listing:
    """The folder layout as a listing: pictures as `scan_folder` has them, else videos in the same folders."""
    patterns: dict[str, Any] = {"group_pattern": group_pattern, "video_pattern": video_pattern}
    if root.is_dir() and next(iter_pictures(root), None) is None and next(iter_videos(root), None) is not None:
        return Listing(videos=Records.of(scan_folder(root, videos=True, **patterns)))
    return Listing(pictures=Records.of(scan_folder(root, **patterns)))


def list_unlabelled(root: Path) -> Listing:
    """Pictures and videos without labels.

    Args:
        root: A folder, a single file, or a text file (.txt) with a path in each line, relative to its folder.

    Raises:
        UserError: Nothing is there, or it is neither pictures nor videos.
    """
    if root.is_dir():
        videos = list(iter_videos(root))
        pictures = (
            Records.of(scan_unlabelled(root)) if not videos or next(iter_pictures(root), None) else Records.of([])
        )
        return Listing(pictures=pictures, videos=Records.of(_unlabelled(root, videos)))
    if not root.is_file():
        raise UserError(f"{root}: no such file or folder")
    files, folder = [root], root.parent
    if root.suffix.lower() == ".txt":
        lines = root.read_text(encoding="utf-8").splitlines()
        files = [folder / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    pictures = Records.of(_unlabelled(folder, [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES]))
    if not videos and not len(pictures):
        raise UserError(f"{root} names no picture ({', '.join(PICTURE_SUFFIXES)}) and no video")
    return Listing(pictures=pictures, videos=Records.of(_unlabelled(folder, videos)))


def _unlabelled(root: Path, files: Iterable[Path]) -> Iterator[Record]:
    for file in files:
        path = file.relative_to(root) if file.is_relative_to(root) else file
        video = PurePosixPath(path.as_posix()).with_suffix("")
        name = root.resolve().name
        yield Record(path.as_posix(), UNLABELLED, "predict", f"{name}/{str(video).lstrip('/')}", str(video), name)


def scan_folder(
    data_dir: str | Path, *, group_pattern: str | None = None, video_pattern: str | None = None, videos: bool = False
) -> list[Record]:
    """Lists the pictures of a folder data set.

    Args:
        data_dir: Holds `train/real`, `train/fake`, `test/real`, `test/fake`; sub-folders are allowed.
        group_pattern: Regular expression searched in the path below `data_dir`; its first group (or its whole
            match) is the group. Default: the parent folder if frames lie in one folder a video, else the file's
            stem up to the first `_`.
        video_pattern: The same for the video. Default: the parent folder, else the stem without a trailing
            frame number (`_0012`, `-12`, `_frame12`).
        videos: Lists videos instead. Each is one, wherever it lies; its group is its stem up to the first `_`.

    Raises:
        UserError: A folder is missing, unknown or empty, or a pattern does not fit; the text shows the layout.
    """
    root = Path(data_dir)
    if not root.is_dir():
        raise UserError(f"data.data_dir={root}: no such folder\n{expected_layout(root)}")
    records: list[Record] = []
    for split in SPLITS:
        if not (root / split).is_dir():
            raise UserError(f"{root} has no folder '{split}'\n{expected_layout(root)}")
        _refuse_unknown_classes(root, split)
        for label, name in enumerate(CLASS_NAMES):
            found = _scan_class(root, split, label, _compiled(group_pattern), _compiled(video_pattern), videos)
            if not found:
                raise UserError(f"{root / split / name} holds no pictures\n{expected_layout(root)}")
            records += found
    return records


def scan_unlabelled(folder: str | Path) -> list[Record]:
    """Lists all pictures below a folder for prediction; a sub-folder is a video.

    Raises:
        UserError: No such folder, or no picture in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"data.predict_dir={root}: no such folder")
    records = []
    for path in iter_pictures(root):
        relative = PurePosixPath(path.relative_to(root).as_posix())
        video = _video(relative, relative, None)
        records.append(Record(str(relative), UNLABELLED, "predict", f"{root.name}/{video}", video, root.name))
    if not records:
        raise UserError(f"{root} holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
    return records


def expected_layout(root: Path) -> str:
    """What the folder layout looks like, for error messages."""
    lines = [f"expected: {root}/"]
    lines += [f"            {split}/{name}/**/*" for split in SPLITS for name in CLASS_NAMES]
    return "\n".join(lines) + f"\n          with pictures ({', '.join(PICTURE_SUFFIXES)})"


def _refuse_unknown_classes(root: Path, split: str) -> None:
    present = sorted(path.name for path in (root / split).iterdir() if path.is_dir() and path.name[0] != ".")
    for name in CLASS_NAMES:
        if name not in present:
            raise UserError(f"{root / split} has no folder '{name}' (found: {present})\n{expected_layout(root)}")
    unknown = [name for name in present if name not in CLASS_NAMES]
    if unknown:
        raise UserError(f"unknown class folders in {root / split}: {unknown}\n{expected_layout(root)}")


def _scan_class(
    root: Path,
    split: str,
    label: int,
    group: re.Pattern[str] | None,
    video: re.Pattern[str] | None,
    as_videos: bool,
) -> list[Record]:
    folder = root / split / CLASS_NAMES[label]
    records = []
    for path in iter_videos(folder) if as_videos else iter_pictures(folder):
        relative = PurePosixPath(path.relative_to(root).as_posix())
        inner = PurePosixPath(path.relative_to(folder).as_posix())
        if as_videos:
            video_id = f"{root.name}/{split}/{CLASS_NAMES[label]}/{inner.with_suffix('')}"
            group_id = _group(relative, PurePosixPath(inner.name), group)
        else:
            video_id = f"{root.name}/{CLASS_NAMES[label]}/{_video(relative, inner, video)}"
            group_id = _group(relative, inner, group)
        records.append(Record(str(relative), label, split, video_id, group_id, root.name))
    return records


def _group(relative: PurePosixPath, inner: PurePosixPath, pattern: re.Pattern[str] | None) -> str:
    if pattern:
        return _matched(relative, pattern, "data.group_pattern")
    return inner.parent.name if len(inner.parts) > 1 else inner.stem.split("_")[0]


def _video(relative: PurePosixPath, inner: PurePosixPath, pattern: re.Pattern[str] | None) -> str:
    if pattern:
        return _matched(relative, pattern, "data.video_pattern")
    return str(inner.parent) if len(inner.parts) > 1 else _FRAME_NUMBER.sub("", inner.stem)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UserError(f"{pattern!r} is not a regular expression: {error}") from error


def _matched(path: PurePosixPath, pattern: re.Pattern[str], name: str) -> str:
    match = pattern.search(str(path))
    if not match:
        raise UserError(f"{name}={pattern.pattern!r} does not match {path}; it is searched in paths like this one")
    return match.group(1) if pattern.groups else match.group(0)
