"""KoDF: clips of 403 Korean subjects, filmed for this data set, and fakes of them by six models.

    original_videos/<actor>/<actor>_001.mp4
    synthesized_videos/<method>/<date>/<actor>/<actor>_<actor>_<code>_<number>.mp4

The authors (arXiv 2103.10094 and deepbrainai-research.github.io/kodf) document 62,166 real clips, 175,776 fakes by
FaceSwap, DeepFaceLab, FSGAN, FOMM, ATFHP and Wav2Lip, clips with an adversarial attack, and metadata; access is by a
form, or through AI Hub for Koreans. Neither source documents the names of files and folders. The names above, that an
actor is six digits or twenty hexadecimal ones, and the folders of methods (`audio-driven`, `dffs`, `dfl`, `fo`,
`fsgan`) are known from public loaders of the version that is sent on request; how the version on AI Hub differs, and
where the attacked clips and the metadata are, is not known. So the options `real` and `fake` can name the folders, any
depth below them is read, the method is the first folder, and files with other names are left out and counted. The first
of the two actors in a fake's name, in whose folder the fake is, is assumed to be the one filmed; which clip a fake was
made from is not documented, so the groups are actors.

There is no official split: by default everything is a test set here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from addnet.data.layouts.frames import clip_paths_below, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings
from addnet.data.layouts.names import KODF, own_group
from addnet.data.layouts.tree import Tree, join, stem
from addnet.errors import require_choice
from addnet.index.records import CLASS_NAMES, FAKE, REAL, Record
from addnet.wording import count

SPLITS = ("test", "train")
FOLDERS = ("original_videos", "synthesized_videos")  # by label
VIDEOS = (62_166, 175_776)
_BASES = ("", "kodf_release", "KoDF")
_ACTOR = r"([0-9a-f]{20}|\d{6})"
_NAMES = (re.compile(rf"{_ACTOR}_\d+"), re.compile(rf"{_ACTOR}_{_ACTOR}_\d+_\d+"))
_EXPECTED = ("<actor>_<number>", "<actor>_<actor>_<code>_<number>")
_WHERE = "form at deepbrainai-research.github.io/kodf"
_ORDER = (
    "KoDF does not document which of the two actors in a name was filmed: the first is assumed; clips are grouped by "
    "actor"
)


def scan_kodf(
    root: Path, *, real: str | None = None, fake: str | None = None, split: str = "test", source: str = "auto"
) -> Listing:
    """Lists KoDF.

    Args:
        root: Holds `original_videos/` and `synthesized_videos/`, or `kodf_release/` or `KoDF/` with them.
        real: Folder of the real clips, relative to `root`, if it has another name.
        fake: Folder of the fakes, relative to `root`, if it has another name.
        split: The split of everything: `test`, or `train` (validation is carved out of it by actor).
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option or no such folder.
    """
    require_choice("data.options.split", split, SPLITS)
    tree, findings = Tree(root), ListFindings()
    base = next((name for name in _BASES if not tree.folders(name).isdisjoint(FOLDERS)), "")
    parts, actors = [], []
    for label, given in enumerate((real, fake)):
        folder = join(base, FOLDERS[label]) if given is None else given.rstrip("/")
        paths = clip_paths_below(tree, folder, _NAMES[label].fullmatch)
        _note_number(tree, folder, paths, label, findings)
        clips = {path: match.groups() for path in paths if (match := _NAMES[label].fullmatch(stem(path)))}
        findings.note(
            [path for path in paths if path not in clips],
            f"file is left out because of its name (expected {_EXPECTED[label]})",
            f"files are left out because of their names (expected {_EXPECTED[label]})",
        )
        parts.append(collect(tree, _records(clips, folder, label, split), source=source))
        actors.append({persons[0] for persons in clips.values()})
    if actors[FAKE]:
        findings.notes.append(_ORDER)
    findings.note(
        actors[FAKE] - actors[REAL] if actors[REAL] else (),
        "actor has fakes but no real clip",
        "actors have fakes but no real clip",
    )
    return findings.listing(parts)


def _records(clips: dict[str, tuple[str, ...]], folder: str, label: int, split: str) -> Iterator[Record]:
    for path, persons in clips.items():
        inside = path.removeprefix(f"{folder}/").split("/")
        method = inside[0] if label == FAKE and len(inside) > 1 else CLASS_NAMES[label]
        yield Record(
            path=path,
            label=label,
            split=split,
            video_id=f"{KODF}/{method}/{stem(path)}",
            group_id=own_group(KODF, persons[0]),
            dataset=KODF,
            method=method,
            identity=" ".join(persons),
        )


def _note_number(tree: Tree, folder: str, paths: list[str], label: int, findings: ListFindings) -> None:
    name = CLASS_NAMES[label]
    if not paths:
        what = f"{name} clips ({_WHERE}); set data.options.{name}=FOLDER if it has another name"
        findings.lacks(folder, what, needed=True)
    elif len(paths) != VIDEOS[label]:
        findings.notes.append(f"{folder}/ holds {count(len(paths), 'clip')}; the data set has {VIDEOS[label]:,}")
