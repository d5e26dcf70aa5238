"""FFIW10K (Face Forensics in the Wild): videos of several people, some of whom were given another face.

    source/{train,val,test}/train_00000000.mp4              real
    target/{train,val,test}/train_00000000.mp4              the same video, forged
    target_mask/{train,val,test}/train_00000000_mask.mp4    where it was forged; not read here

Access and folders: README of tfzhou/FFIW, which shows `train` and `val`; the test set comes as a separate archive
(`FFIW10K-v1-release-test`, see yermandy/GenD#1) with the same folders. That `source` is real and `target` forged, and
that both have the same name, is not in the README, but public loaders agree on it (SelfBlendedImages
`src/inference/datasets.py`).

Labels apply to whole videos: a forged video also holds untouched faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from addnet.data.layouts.frames import clip_paths, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings
from addnet.data.layouts.names import FFIW, own_group
from addnet.data.layouts.tree import Tree, join, stem
from addnet.index.records import CLASS_NAMES, FAKE, REAL, Record

SPLITS = ("train", "val", "test")
_FOLDERS = {"source": REAL, "target": FAKE}
_WHERE = "form at github.com/tfzhou/FFIW"


def scan_ffiw(root: Path, *, source: str = "auto") -> Listing:
    """Lists FFIW10K by its folders.

    Args:
        root: Holds `source/` and `target/`, or the unpacked archives `FFIW10K-v1-release` and `…-release-test`.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option or no such folder.
    """
    tree, findings = Tree(root), ListFindings()
    bases = [base for base in ("", *sorted(tree.folders())) if "target" in tree.folders(base)]
    parts, seen = [], set[str]()
    for name, label in _FOLDERS.items():
        for split in SPLITS:
            paths = [path for base in bases for path in clip_paths(tree, join(base, name, split))]
            if not paths:
                what = f"{CLASS_NAMES[label]} videos for {split} ({_WHERE})"
                findings.lacks(f"{name}/{split}", what, needed=split == "train" and not bases)
            parts.append(collect(tree, _clips(paths, name, split, seen, findings), source=source))
    if any(FAKE in part.images.labels or FAKE in part.videos.labels for part in parts):
        findings.notes.append("forged videos also hold untouched faces: the labels of single faces are noisy")
    return findings.listing(parts)


def _clips(paths: list[str], name: str, split: str, seen: set[str], findings: ListFindings) -> Iterator[Record]:
    """The videos of one folder of each archive; the same name in a second archive is the same video."""
    label, again = _FOLDERS[name], []
    for path in paths:
        video, group = f"{FFIW}/{name}/{split}/{stem(path)}", own_group(FFIW, split, stem(path))
        if video in seen:
            again.append(path)
            continue
        seen.add(video)
        yield Record(path=path, label=label, split=split, video_id=video, group_id=group, dataset=FFIW)
    findings.note(
        again,
        "video is left out because another archive holds it too",
        "videos are left out because another archive holds them too",
    )
