"""FakeAVCeleb: real videos of 500 celebrities from VoxCeleb2, and fakes of image, of sound or of both.

    meta_data.csv                                   source,target1,target2,method,category,type,race,gender,path,
    RealVideo-RealAudio/<race>/<gender>/id00076/00109.mp4
    FakeVideo-RealAudio/…/id00076/00109_id00166_wavtolip.mp4
    FakeVideo-FakeAudio/…/id00076/00109_2_id00166_wavtolip.mp4
    RealVideo-FakeAudio/…/id00076/00109_fake.mp4

Only the images count here, so the class is that of the images: RealVideo-FakeAudio, the 500 real videos with cloned
voices, adds no new images and is left out unless `fake_audio: real`.

The authors (arXiv 2108.05080 and sites.google.com/view/fakeavcelebdash-lab) document the four kinds, one real video per
person, 500 persons in five groups of 100, and the methods (Faceswap, FSGAN, Wav2Lip; SV2TTS for voices). Their
repository (DASH-Lab/FakeAVCeleb) describes neither folders nor columns; both are those that public loaders of version
1.2 agree on: among other things, `source` is the person filmed, `path` the name of the file, and the last column, which
has no name, holds the folder. What `target1` and `target2` mean is not documented: where they are ids, they are assumed
to be the persons whose faces were inserted. Without `meta_data.csv` the method is unknown, since the file names of
several methods end in `wavtolip`. There is no official split: the field tests on everything, and so does this module by
default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from addnet.data.layouts.frames import VideoCollection, clip_paths_below, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings, read_rows
from addnet.data.layouts.names import FAKEAVCELEB, own_group
from addnet.data.layouts.tree import Tree, join, stem
from addnet.errors import require_choice
from addnet.index.records import FAKE, REAL, Record
from addnet.wording import count

SPLITS = ("test", "train")
FAKE_AUDIO = ("leave_out", "real")
_REAL, _ONLY_AUDIO = "RealVideo-RealAudio", "RealVideo-FakeAudio"
KINDS = {
    _REAL: REAL,
    _ONLY_AUDIO: REAL,
    "FakeVideo-RealAudio": FAKE,
    "FakeVideo-FakeAudio": FAKE,
}
LIST = "meta_data.csv"
_BASES = ("", "FakeAVCeleb", "FakeAVCeleb_v1.2")
_COLUMNS = ("source", "target1", "target2", "method", "type", "path")
_PERSON = re.compile(r"id\d+")
_CLIP = re.compile(r"\d+(_.+)?")
_WHERE = "form in the README of github.com/DASH-Lab/FakeAVCeleb"


class ListRow(NamedTuple):
    """What the list says about a video.

    Attributes:
        method: Such as `faceswap-wav2lip`; `real` for a real video.
        persons: Ids of the persons whose faces were inserted.
    """

    method: str = ""
    persons: tuple[str, ...] = ()


Rows = dict[tuple[str, str, str], ListRow]  # by kind, person and name without suffix


def scan_fakeavceleb(
    root: Path, *, split: str = "test", fake_audio: str = "leave_out", source: str = "auto"
) -> Listing:
    """Lists the videos of FakeAVCeleb, real or fake by their images alone.

    Args:
        root: Holds the four folders and `meta_data.csv`, or `FakeAVCeleb/` or `FakeAVCeleb_v1.2/` with them.
        split: The split of everything: `test`, or `train` (validation is carved out of it by person).
        fake_audio: What to do with real videos with cloned voices: `leave_out` or `real`.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    require_choice("data.options.split", split, SPLITS)
    require_choice("data.options.fake_audio", fake_audio, FAKE_AUDIO)
    tree, findings = Tree(root), ListFindings()
    base = next((name for name in _BASES if not tree.folders(name).isdisjoint(KINDS)), "")
    rows = _rows(tree, base, findings)
    found = {kind: clip_paths_below(tree, join(base, kind), _CLIP.fullmatch) for kind in KINDS}
    if fake_audio == "leave_out":
        _note_left_out(found.pop(_ONLY_AUDIO), findings)
    fakes = any(paths for kind, paths in found.items() if KINDS[kind] == FAKE)
    for kind, paths in found.items():
        if not paths:
            needed = kind == _REAL or (KINDS[kind] == FAKE and not fakes)
            findings.lacks(join(base, kind), f"videos ({_WHERE})", needed=needed)
    parts = [_part(tree, kind, paths, rows, split, source, findings) for kind, paths in found.items()]
    return findings.listing(parts, named_by=LIST)


def _rows(tree: Tree, base: str, findings: ListFindings) -> Rows | None:
    path = join(base, LIST)
    if not tree.has_file(path):
        findings.lacks(
            path, f"list of all videos ({_WHERE}); without it, methods are unknown and missing videos go unnoticed"
        )
        return None
    rows: Rows = {}
    for row in read_rows(tree.root / path, *_COLUMNS):
        persons = tuple(row[key] for key in ("target1", "target2") if _PERSON.fullmatch(row[key]))
        rows[row["type"], row["source"], stem(row["path"])] = ListRow(row["method"], persons)
    return rows


def _part(
    tree: Tree, kind: str, paths: list[str], rows: Rows | None, split: str, source: str, findings: ListFindings
) -> VideoCollection:
    """One of the four folders."""
    keys = {path: (kind, person, stem(path)) for path in paths if (person := _person(path))}
    findings.note(
        [path for path in paths if path not in keys],
        "file is left out: it is not in the folder of a person, such as id00076",
        "files are left out: they are not in the folder of a person, such as id00076",
    )
    if rows is not None:
        unnamed = [path for path, key in keys.items() if key not in rows]
        findings.note(unnamed, f"video is left out: {LIST} doesn't name it", f"videos are left out: not in {LIST}")
        absent = [f"{person}/{name}" for of, person, name in rows.keys() - keys.values() if of == kind]
        findings.note(absent, f"video of {kind} in {LIST} is missing", f"videos of {kind} in {LIST} are missing")

    def clips() -> Iterator[Record]:
        for path, key in keys.items():
            if rows is None or key in rows:
                yield _record(path, key, rows[key] if rows else ListRow(), split)

    return collect(tree, clips(), source=source)


def _record(path: str, key: tuple[str, str, str], row: ListRow, split: str) -> Record:
    kind, person, name = key
    return Record(
        path=path,
        label=KINDS[kind],
        split=split,
        video_id=f"{FAKEAVCELEB}/{kind}/{person}/{name}",
        group_id=own_group(FAKEAVCELEB, person),
        dataset=FAKEAVCELEB,
        method=row.method or kind,
        identity=" ".join(dict.fromkeys((person, *row.persons))),
    )


def _person(path: str) -> str:
    """The person filmed, from the folders of a video; empty if none is a person's."""
    return next((part for part in reversed(path.split("/")[:-1]) if _PERSON.fullmatch(part)), "")


def _note_left_out(paths: list[str], findings: ListFindings) -> None:
    if paths:
        findings.notes.append(
            f"left out {count(len(paths), 'video')} of {_ONLY_AUDIO}: only the sound is fake "
            "(data.options.fake_audio=real lists them as real)"
        )
