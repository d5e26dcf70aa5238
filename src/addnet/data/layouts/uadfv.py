"""UADFV: 49 videos and 49 fakes of them, a common test set.

    real/{0000.mp4, frames/0000/000.png}
    fake/{0000_fake.mp4, frames/0000_fake/000.png}

Access: the forms in the README of yuezunli/WIFS2018_In_Ictu_Oculi (Li et al. 2018, arXiv 1806.02877). That README does
not describe the layout. File names and folders are those that several public loaders agree on; `frames/` is what
DeepfakeBench's preprocessing adds. Not verified with the authors: that a fake was made from the real video with the
same number. There is no official split: the field tests on everything, and so does this module by default.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from addnet.data.layouts.frames import clip_paths, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings
from addnet.data.layouts.names import UADFV, uadfv_group
from addnet.data.layouts.tree import Tree, stem
from addnet.errors import require_choice
from addnet.index.records import CLASS_NAMES, Record
from addnet.wording import count

SPLITS = ("test", "train")
VIDEOS = 49
_WHERE = "form in the README of github.com/yuezunli/WIFS2018_In_Ictu_Oculi"


def scan_uadfv(root: Path, *, split: str = "test", source: str = "auto") -> Listing:
    """Lists UADFV.

    Args:
        root: Holds `real/` and `fake/`.
        split: The split of everything: `test`, or `train` (validation is carved out of it by number).
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option or no such folder.
    """
    require_choice("data.options.split", split, SPLITS)
    tree, findings = Tree(root), ListFindings()
    parts = []
    for label, name in enumerate(CLASS_NAMES):
        paths = clip_paths(tree, name)
        if not paths:
            findings.lacks(name, f"{VIDEOS} {name} videos ({_WHERE})", needed=True)
        elif len(paths) != VIDEOS:
            findings.notes.append(f"{name}/ holds {count(len(paths), 'video')}; the data set has {VIDEOS}")
        parts.append(collect(tree, _clips(paths, label, split), source=source))
        findings.note(
            [path for path in paths if not uadfv_group(stem(path))],
            "file is left out because of its name",
            "files are left out because of their names",
        )
    return findings.listing(parts)


def _clips(paths: list[str], label: int, split: str) -> Iterator[Record]:
    for path in paths:
        if group := uadfv_group(stem(path)):
            video = f"{UADFV}/{CLASS_NAMES[label]}/{stem(path)}"
            yield Record(path=path, label=label, split=split, video_id=video, group_id=group, dataset=UADFV)
