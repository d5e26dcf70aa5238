"""`<data_dir>/{train,val,test}/{real,fake}/…`: the plain folder layout, and folders without labels."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from addnet.data.layouts.class_folders import SPLIT_NAMES, ClassFolders, expected_layout
from addnet.data.layouts.doubts import doubts
from addnet.data.layouts.guesses import Guess, guess, guess_groups
from addnet.data.layouts.listing import Listing, MissingPart
from addnet.data.layouts.lists import few
from addnet.data.layouts.side_by_side import chosen_kind
from addnet.data.layouts.text_files import read_text
from addnet.errors import UserError
from addnet.faces.formats import IMAGE, IMAGE_SUFFIXES, VIDEO, kind_of
from addnet.faces.walk import walk
from addnet.index.records import CLASS_NAMES, UNLABELLED, Record, Records
from addnet.untrusted.patterns import compiled, searched
from addnet.untrusted.places import first_outside
from addnet.untrusted.texts import oddity, shown
from addnet.wording import count

_NEEDED = ("train", "test")


def list_folder(
    root: Path, *, group_pattern: str | None = None, video_pattern: str | None = None, source: str = "auto"
) -> Listing:
    """Lists the images and videos of a folder data set; see `scan_folder` for what counts as a video and a group.

    Args:
        root: Holds `train/real`, `train/fake`, `test/real`, `test/fake`, perhaps `val/real` and `val/fake`; sub-folders
            are allowed, and so are other common names of splits and classes, in upper or lower case. Class folders
            without a split are `train`.
        group_pattern: See `scan_folder`.
        video_pattern: See `scan_folder`.
        source: `images` or `videos` lists only these; `auto` the kind that every class has, preferably images.

    Raises:
        UserError: Nothing is found, a folder stands for neither class, or a pattern does not match.
    """
    folders, found = ClassFolders(root), walk(root)
    patterns = compiled("data.group_pattern", group_pattern), compiled("data.video_pattern", video_pattern)
    records, outside, counted = {}, [], []
    for kind, names in ((IMAGE, found.images), (VIDEO, found.videos)):
        places = [folders.place(name) for name in names]
        outside += [name for name, place in zip(names, places, strict=True) if place is None]
        kept = [(name, *place) for name, place in zip(names, places, strict=True) if place]
        guesses = _guesses(kept, patterns[1], videos=kind == VIDEO)
        records[kind] = Records.of(_records(root.absolute().name, kept, guesses, patterns[0], videos=kind == VIDEO))
        counted += [found.counted for found in guesses]
    if not any(map(len, records.values())):
        raise UserError(f"{root} holds no images and no videos where they are expected\n{expected_layout(root)}")
    found.others = [name for name in found.others if "/" in name]  # files next to train/ describe the data set
    notes = folders.notes() + found.notes()
    if outside:
        notes.append(f"left out {count(len(outside), 'file')} outside of the class folders: {few(outside)}")
    listing = chosen_kind(Listing(records[IMAGE], records[VIDEO], notes=notes), source, layout="folder", root=root)
    served = Records.concat([listing.images, listing.videos])
    given = {"videos_given": video_pattern is not None, "groups_given": group_pattern is not None}
    doubtful = doubts(listing.images, counted[: len(listing.images)], **given)
    return replace(listing, missing=[*listing.missing, *_missing(folders, served)], doubts=doubtful)


def scan_folder(
    data_dir: str | Path, *, group_pattern: str | None = None, video_pattern: str | None = None, videos: bool = False
) -> list[Record]:
    """Lists the images of a folder data set.

    Args:
        data_dir: See `list_folder`.
        group_pattern: Regular expression searched in the path below `data_dir`; its first group (or its whole
            match) is the group. Default: the name of the video up to the first `_` after a distinctive word, without
            words for real and fake.
        video_pattern: Likewise for the video. Default: the folder if each video has a folder of frames, else the
            file's stem without its frame number (`_0012`, `-12`, ` frame 12`); see `guesses.py`.
        videos: Whether to list videos instead; each file is one video, in whatever folder it is.

    Raises:
        UserError: See `list_folder`.
    """
    listing = list_folder(Path(data_dir), group_pattern=group_pattern, video_pattern=video_pattern)
    return list(listing.videos if videos else listing.images)


def list_unlabelled(root: Path, *, source: str = "auto", outside: bool = False) -> Listing:
    """Lists images and videos without labels.

    Args:
        root: A folder, a single file, or a text file (.txt) with one path per line, relative to its folder.
        source: `images` or `videos` lists only these.
        outside: Whether a list may name files outside of its folder.

    Raises:
        UserError: Nothing is found, there are neither images nor videos, or a list leads out of its folder.
    """
    return chosen_kind(_unlabelled_of(root, outside), source, layout="unlabelled", root=root)


def _unlabelled_of(root: Path, outside: bool) -> Listing:
    if root.is_dir():
        found = walk(root)
        if not found.images and not found.videos:
            raise UserError(f"{root} holds no images and no videos ({', '.join(IMAGE_SUFFIXES)})")
        images = Records.of(_unlabelled(root.resolve().name, found.images, _guessed(found.images)))
        videos = Records.of(_unlabelled(root.resolve().name, found.videos, _named(found.videos)))
        return Listing(images, videos, notes=found.notes())
    if not root.is_file():
        raise UserError(f"{root}: no such file or folder")
    folder = root.parent
    names, notes = _listed(root, outside) if root.suffix.lower() == ".txt" else ([root.name], [])
    kinds: dict[str | None, list[str]] = {IMAGE: [], VIDEO: [], None: []}
    for name in names:
        kinds[None if oddity(name) else kind_of(folder / name)].append(name)
    if not kinds[IMAGE] and not kinds[VIDEO]:
        raise UserError(f"{root} names no image ({', '.join(IMAGE_SUFFIXES)}) and no video with a name in UTF-8")
    if kinds[None]:
        lines = count(len(kinds[None]), "line that names", "lines that name")
        notes.append(f"left out {lines} neither an image nor a video: {few(kinds[None])}")
    dataset = folder.resolve().name
    images = Records.of(_unlabelled(dataset, kinds[IMAGE], _guessed(kinds[IMAGE])))
    return Listing(images, Records.of(_unlabelled(dataset, kinds[VIDEO], _named(kinds[VIDEO]))), notes=notes)


def _listed(file: Path, outside: bool) -> tuple[list[str], list[str]]:
    """The paths that a text file names, relative to its folder where they are below it; and notes about the file."""
    text, note = read_text(file)
    lines = [line.strip() for line in text.splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    if (found := first_outside(file.parent, wanted, outside=outside)) is not None:
        line = f"{file}: {shown(wanted[found.position])} {found.reason}"
        named = shlex.quote(f"data.data_dir={file}")
        remedy = f"; if you trust it, type data=unlabelled {named} data.options.outside=true"
        raise UserError(line if outside else f"{line}{remedy}")
    paths = [file.parent / line for line in wanted]
    names = [(path.relative_to(file.parent) if path.is_relative_to(file.parent) else path).as_posix() for path in paths]
    return names, [note] if note else []


def scan_unlabelled(folder: str | Path) -> list[Record]:
    """Lists all images below a folder for prediction; videos are guessed as in training.

    Raises:
        UserError: No such folder, or no image in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"data.predict_dir={root}: no such folder")
    found = list(list_unlabelled(root).images)
    if not found:
        raise UserError(f"{root} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found


def _unlabelled(dataset: str, paths: Sequence[str], videos: Sequence[str]) -> Iterator[Record]:
    for path, video in zip(paths, videos, strict=True):
        yield Record(
            path=path,
            label=UNLABELLED,
            split="predict",
            video_id=f"{dataset}/{video.lstrip('/')}",
            group_id=video,
            dataset=dataset,
        )


def _guessed(paths: Sequence[str]) -> list[str]:
    return [found.video for found in guess(paths)]


def _named(paths: Iterable[str]) -> list[str]:
    """Names of videos: their paths without suffix, or with it where two would otherwise have the same name."""
    names = [str(PurePosixPath(path).with_suffix("")) for path in paths]
    count = Counter(names)
    return [path if count[name] > 1 else name for path, name in zip(paths, names, strict=True)]


def _guesses(
    files: Sequence[tuple[str, str, int, int]], pattern: re.Pattern[str] | None, *, videos: bool
) -> list[Guess]:
    """Guesses about files, each given as path, split, class and the number of path parts that these come from."""
    inner = [path.split("/", depth)[depth] for path, _, _, depth in files]
    if videos:
        groups = guess_groups([PurePosixPath(path).name for path in inner])
        return [Guess(name, title) for name, title in zip(_named(inner), groups, strict=True)]
    return _searched([path for path, *_ in files], pattern) if pattern else guess(inner)


def _records(
    dataset: str,
    files: Sequence[tuple[str, str, int, int]],
    guesses: Sequence[Guess],
    group: re.Pattern[str] | None,
    *,
    videos: bool,
) -> Iterator[Record]:
    paths = [path for path, *_ in files]
    groups = searched(paths, group, "data.group_pattern") if group else [found.group for found in guesses]
    for (path, split, label, _), found, group_id in zip(files, guesses, groups, strict=True):
        # videos are files: the same name in two splits stands for two videos
        name = f"{split}/{CLASS_NAMES[label]}/{found.video}" if videos else f"{CLASS_NAMES[label]}/{found.video}"
        yield Record(
            path=path, label=label, split=split, video_id=f"{dataset}/{name}", group_id=group_id, dataset=dataset
        )


def _searched(paths: Sequence[str], pattern: re.Pattern[str]) -> list[Guess]:
    """The videos that a pattern finds, and groups guessed from these."""
    videos = searched(paths, pattern, "data.video_pattern")
    return [Guess(video, group) for video, group in zip(videos, guess_groups(videos), strict=True)]


def _missing(folders: ClassFolders, records: Records) -> list[MissingPart]:
    """The splits and classes that are empty; training reports those that it requires."""
    splits, missing = records.names("split"), []
    for split in SPLIT_NAMES:
        if split not in splits:
            if split in _NEEDED or split in folders.names():
                missing.append(
                    MissingPart("/".join(folders.names().get(split, [split])), f"images or videos for {_AIMS[split]}")
                )
            continue
        present = set(records.labels[records.numbers("split") == splits.index(split)].tolist())
        missing += [
            MissingPart(f"{split}/{name}", f"{name} images or videos")
            for label, name in enumerate(CLASS_NAMES)
            if label not in present
        ]
    return missing


_AIMS = {"train": "training", "val": "validation", "test": "testing"}
