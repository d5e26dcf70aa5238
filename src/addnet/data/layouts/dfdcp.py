"""DFDC preview (DFDCP): 1,131 videos, 4,119 fakes of them by two methods (Dolhansky et al. 2019, arXiv 1910.08854).

    dataset.json     {"method_B/1260311/1260311_C/1255229_1260311_C_001.mp4":
                         {"label": "fake", "set": "train", "target_id": …, "swapped_id": …, "augmentations": […]}, …}
    original_videos/643049/643049_A_001.mp4
    method_A/…, method_B/…

Access: ai.meta.com/datasets/dfdc. The authors' page could not be accessed; names and keys are those that public loaders
agree on (SelfBlendedImages `data/datasets.md` and `src/inference/datasets.py`, DeepfakeBench
`preprocessing/rearrange.py`). Those also put a folder `videos/` below the first one, or frames into
`method_A/frames/<video>/`; both are found. That `target_id` is the person filmed and `swapped_id` the inserted face is
inferred from the names and not verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from addnet.data.layouts.frames import IMAGE_FOLDERS, collect, image_places
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings, read_object
from addnet.data.layouts.names import DFDCP, dfdcp_group
from addnet.data.layouts.tree import Tree, join, stem
from addnet.index.records import FAKE, REAL, Record

FOLDERS = ("original_videos", "method_A", "method_B")
_LABELS = {"real": REAL, "fake": FAKE}
_SPLITS = ("train", "val", "test")
_WHERE = "ai.meta.com/datasets/dfdc"


def scan_dfdcp(root: Path, *, source: str = "auto") -> Listing:
    """Lists the DFDC preview by its `dataset.json`.

    Groups are the persons who were filmed: an original and all fakes of it stay together.

    Args:
        root: Holds `dataset.json`, or a folder `dfdc_preview_set` that holds it.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option, no such folder, or a damaged `dataset.json`.
    """
    tree, findings = Tree(root), ListFindings()
    base = next((base for base in ("", "dfdc_preview_set") if tree.has_file(join(base, "dataset.json"))), None)
    if base is None:
        findings.lacks("dataset.json", f"labels and sets of the videos ({_WHERE})", needed=True)
        return findings.listing([])
    entries = read_object(Path(root, base, "dataset.json"))
    absent = [folder for folder in FOLDERS if not tree.has_folder(join(base, folder))]
    for folder in absent:
        findings.lacks(join(base, folder), f"videos ({_WHERE})", needed=len(absent) == len(FOLDERS))
    clips = _clips(tree, base, entries, findings)
    return findings.listing([collect(tree, clips, source=source, places=_places)], named_by="dataset.json")


def _clips(tree: Tree, base: str, entries: Mapping[str, Any], findings: ListFindings) -> Iterator[Record]:
    unclear = []
    for name, entry in entries.items():
        method, _, inner = name.partition("/")
        label = _LABELS.get(str(_get(entry, "label")).lower())
        split = _get(entry, "set")
        if label is None or split not in _SPLITS or not inner:
            unclear.append(name)
            continue
        persons = [str(person) for key in ("target_id", "swapped_id") if (person := _get(entry, key)) is not None]
        group = persons[0] if persons else stem(name)
        video = f"{DFDCP}/{method}/{inner.rpartition('.')[0] or inner}"
        path = _located(tree, base, method, inner)
        yield Record(
            path=path,
            label=label,
            split=split,
            video_id=video,
            group_id=dfdcp_group(group),
            dataset=DFDCP,
            method=method,
            identity=" ".join(persons),
        )
    findings.note(
        unclear,
        "entry of dataset.json is left out: its label is not real or fake, or its set is not train, val or test",
        "entries of dataset.json are left out: a label is not real or fake, or a set is not train, val or test",
    )


def _located(tree: Tree, base: str, method: str, inner: str) -> str:
    in_videos = join(base, method, "videos", inner)
    return in_videos if tree.has_file(in_videos) else join(base, method, inner)


def _places(folder: str) -> Iterator[str]:
    """Folders that may hold images: the usual ones, then one folder for all videos of a method."""
    yield from image_places(folder)
    parts = folder.split("/")
    for position, part in enumerate(parts):
        if part in FOLDERS:
            yield from (join(*parts[: position + 1], images) for images in IMAGE_FOLDERS)


def _get(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else None
