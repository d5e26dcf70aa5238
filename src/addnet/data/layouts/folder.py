"""`<data_dir>/{train,test}/{real,fake}/…`: the plain folder layout."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from addnet.data.layouts.listing import Listing
from addnet.errors import UserError
from addnet.faces.pictures import PICTURE_SUFFIXES, iter_pictures
from addnet.index.records import CLASS_NAMES, UNLABELLED, Record, Records

SPLITS = ("train", "test")
_FRAME_NUMBER = re.compile(r"[_-](?:frame)?\d+$")


def scan_folder(
    data_dir: str | Path, *, group_pattern: str | None = None, video_pattern: str | None = None
) -> list[Record]:
    """Lists the pictures of a folder data set.

    Args:
        data_dir: Holds `train/real`, `train/fake`, `test/real`, `test/fake`; sub-folders are allowed.
        group_pattern: Regular expression searched in the path below `data_dir`; its first group (or its whole
            match) is the group. Default: the parent folder if frames lie in one folder a video, else the file's
            stem up to the first `_`.
        video_pattern: The same for the video. Default: the parent folder, else the stem without a trailing
            frame number (`_0012`, `-12`, `_frame12`).

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
            found = _scan_class(root, split, label, _compiled(group_pattern), _compiled(video_pattern))
            if not found:
                raise UserError(f"{root / split / name} holds no pictures\n{expected_layout(root)}")
            records += found
    return records


def list_folder(root: Path, *, group_pattern: str | None = None, video_pattern: str | None = None) -> Listing:
    """Lists a folder data set as all layouts do; see `scan_folder`."""
    return Listing(Records.of(scan_folder(root, group_pattern=group_pattern, video_pattern=video_pattern)))


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
    root: Path, split: str, label: int, group: re.Pattern[str] | None, video: re.Pattern[str] | None
) -> list[Record]:
    folder = root / split / CLASS_NAMES[label]
    records = []
    for path in iter_pictures(folder):
        relative = PurePosixPath(path.relative_to(root).as_posix())
        inner = PurePosixPath(path.relative_to(folder).as_posix())
        video_id = f"{root.name}/{CLASS_NAMES[label]}/{_video(relative, inner, video)}"
        records.append(Record(str(relative), label, split, video_id, _group(relative, inner, group), root.name))
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
