"""DFDC, the data of the Deepfake Detection Challenge: 119,154 ten-second videos in 50 parts, and separate test sets.

    dfdc_train_part_0/{metadata.json, aaqaifqrwn.mp4, …}    {"aaqaifqrwn.mp4": {"label": "FAKE", "split": "train",
                                                             "original": "…mp4"}, …}
    validation/{labels.csv, ….mp4}                          4,000 videos: the challenge's public test set
    test/{metadata.json or labels.csv, ….mp4}               5,000 videos: the public part of its final test set

Parts and columns: kaggle.com/c/deepfake-detection-challenge/data (`train_sample_videos/` is a small sample of them).
Validation and test: arXiv 2006.07397 and ai.meta.com/datasets/dfdc, which could not be accessed; their files are those
that public loaders agree on: `labels.csv` with filename and label 0 or 1, `metadata.json` with `is_fake`. Parts may be
in a folder `train/`. SelfBlendedImages' `labels.csv` next to `videos/` is read as the test set.

Methods and actors are not documented; actors recur across parts, and nothing here keeps them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from addnet.data.layouts.frames import VideoCollection, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings, read_object, read_pairs
from addnet.data.layouts.names import DFDC, dfdc_group
from addnet.data.layouts.tree import Tree, join, stem
from addnet.errors import UserError
from addnet.index.records import CLASS_NAMES, FAKE, REAL, Record

PARTS = 50
_LABELS = {"real": REAL, "fake": FAKE, "0": REAL, "1": FAKE, "false": REAL, "true": FAKE}
_PART = re.compile(r"dfdc_train_part_(\d+)")
_SAMPLE = "train_sample_videos"
_HELD_OUT = {"val": ("validation", "4,000"), "test": ("test", "5,000")}
_WHERE = "kaggle.com/c/deepfake-detection-challenge/data"
_WHERE_HELD_OUT = "ai.meta.com/datasets/dfdc"


def scan_dfdc(root: Path, *, parts: Iterable[int] | None = None, source: str = "auto") -> Listing:
    """Lists the parts of DFDC that exist in a folder, and its test sets.

    Groups are original videos: an original and all fakes of it stay together.

    Args:
        root: Holds `dfdc_train_part_<N>/`, `validation/` and `test/`, or some of them; parts may lie in `train/`.
        parts: Numbers of the parts to list, 0 to 49; None: all that exist.
        source: `videos`, `images`, or `auto`: of each part its images if there are any.

    Raises:
        UserError: Unknown option, a requested part is missing, or no such folder.
    """
    tree, findings = Tree(root), ListFindings()
    folders = _parts(tree, parts, findings)
    found = [_part(tree, name, folder, source, findings) for name, folder in folders.items()]
    held_out = [_held_out(tree, split, source, findings) for split in _HELD_OUT]
    if not folders:
        what = f"training videos and their labels, a folder for each of {PARTS} parts ({_WHERE})"
        nothing = not any(len(part.images) + len(part.videos) for part in held_out)
        findings.lacks("dfdc_train_part_<N>/metadata.json", what, needed=nothing)
    return findings.listing([*found, *held_out], named_by="the labels")


def _parts(tree: Tree, wanted: Iterable[int] | None, findings: ListFindings) -> dict[str, str]:
    """Name of each part, such as `part_3` → its folder."""
    folders: dict[int, str] = {}
    twice = []
    for path in (join(base, name) for base in ("", "train") for name in sorted(tree.folders(base))):
        match = _PART.fullmatch(path.rpartition("/")[2])
        if match and folders.setdefault(int(match[1]), path) != path:
            twice.append(path)
    findings.note(
        twice,
        "folder is left out because another holds the same part",
        "folders are left out because others hold the same parts",
    )
    if wanted is not None:
        if absent := [number for number in wanted if number not in folders]:
            raise UserError(f"data.options.parts={absent}: not found in {tree.root}; choose from {sorted(folders)}")
        folders = {number: folders[number] for number in wanted}
    elif folders and len(folders) < PARTS:
        findings.notes.append(f"found {len(folders)} of {PARTS} parts: {_ranges(sorted(folders))}")
    if not folders and tree.has_folder(_SAMPLE):
        return {"sample": _SAMPLE}
    return {f"part_{number}": folders[number] for number in sorted(folders)}


def _part(tree: Tree, name: str, folder: str, source: str, findings: ListFindings) -> VideoCollection:
    metadata = _metadata(tree, folder, findings)
    unclear = []
    clips = []
    for file, entry in metadata.items():
        label = _label(entry)
        if label is None:
            unclear.append(join(folder, file))
            continue
        original = entry.get("original") if label == FAKE else None
        video = f"{DFDC}/{CLASS_NAMES[label]}/{name}/{stem(file)}"
        group, path = dfdc_group(stem(original or file)), _located(tree, folder, file)
        clips.append(Record(path=path, label=label, split="train", video_id=video, group_id=group, dataset=DFDC))
    findings.note(
        unclear,
        "entry of metadata.json is left out: its label is not REAL or FAKE",
        "entries of metadata.json are left out: their label is not REAL or FAKE",
    )
    if metadata:
        findings.note(
            _unnamed(tree, folder, metadata),
            "video is left out because metadata.json does not name it",
            "videos are left out because metadata.json does not name them",
        )
    return collect(tree, clips, source=source)


def _held_out(tree: Tree, split: str, source: str, findings: ListFindings) -> VideoCollection:
    """The validation or the test set: each is a separate folder with labels."""
    folder, number = _HELD_OUT[split]
    if split == "test" and not tree.has_folder(folder) and tree.has_file("labels.csv"):
        folder = ""
    labels = _held_out_labels(tree, folder, findings)
    if labels is None:
        what = f"labels of {number} videos for {'validation' if split == 'val' else 'the test'} ({_WHERE_HELD_OUT})"
        findings.lacks(join(folder, "labels.csv"), what)
        labels = {}
    elif labels:
        findings.note(
            _unnamed(tree, folder, labels),
            "video is left out because it has no label",
            "videos are left out because they have no label",
        )
    findings.note(
        [file for file, label in labels.items() if label is None],
        "video is left out: unclear label",
        "videos are left out: unclear labels",
    )
    return collect(tree, _held_out_clips(tree, folder, labels, split), source=source)


def _held_out_clips(tree: Tree, folder: str, labels: Mapping[str, int | None], split: str) -> Iterator[Record]:
    for file, label in labels.items():
        if label is not None:
            video = f"{DFDC}/{CLASS_NAMES[label]}/{_HELD_OUT[split][0]}/{stem(file)}"
            path, group = _located(tree, folder, file), dfdc_group(stem(file))
            yield Record(path=path, label=label, split=split, video_id=video, group_id=group, dataset=DFDC)


def _held_out_labels(tree: Tree, folder: str, findings: ListFindings) -> dict[str, int | None] | None:
    """Video → label of a test set; None if there are no labels."""
    if tree.has_file(join(folder, "labels.csv")):
        try:
            pairs = read_pairs(Path(tree.root, folder, "labels.csv"), "filename", "label")
        except UserError as error:
            findings.lacks(join(folder, "labels.csv"), f"readable labels: {error}")
            return {}
        return {file: _LABELS.get(label.strip().lower()) for file, label in pairs.items()}
    if folder and tree.has_file(join(folder, "metadata.json")):
        return {file: _label(entry) for file, entry in _metadata(tree, folder, findings).items()}
    return None


def _metadata(tree: Tree, folder: str, findings: ListFindings) -> dict[str, Any]:
    """The content of a folder's metadata.json; empty if it is missing or damaged, which is reported."""
    path = f"{folder}/metadata.json"
    if not tree.has_file(path):
        findings.lacks(path, f"labels of this part's videos ({_WHERE})")
        return {}
    try:
        return read_object(tree.root / path)
    except UserError as error:
        findings.lacks(path, f"readable labels: {error}")
        return {}


def _label(entry: Any) -> int | None:
    if not isinstance(entry, dict):
        return None
    return _LABELS.get(str(entry.get("label", entry.get("is_fake"))).lower())


def _located(tree: Tree, folder: str, file: str) -> str:
    in_videos = join(folder, "videos", file)
    return in_videos if tree.has_file(in_videos) else join(folder, file)


def _unnamed(tree: Tree, folder: str, named: Mapping[str, Any]) -> list[str]:
    places = (folder, join(folder, "videos"))
    return [join(place, name) for place in places for name in tree.videos(place) if name not in named]


def _ranges(numbers: list[int]) -> str:
    """Numbers with consecutive ones merged into ranges: [0, 1, 2, 5] → 0-2, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
