"""Celeb-DF++ (Celeb-DF v3): Celeb-DF version 2 and fakes of its videos by 22 methods in three scenarios.

    Celeb-real/id0_0000.mp4   YouTube-real/00000.mp4
    Celeb-synthesis/{FaceSwap,FaceReenact,TalkingFace}/<method>/id1_id0_0007.mp4
    List_of_testing_videos.txt     `1 YouTube-real/00170.mp4`, `0 Celeb-synthesis/FaceSwap/GHOST/id1_id0_0007.mp4`

The README of OUC-VAS/Celeb-DF-PP describes the folders, the methods and how many videos are tested (178 real ones as in
Celeb-DF; 200 fakes of each method of face swapping and reenactment, 300 of each talking-face method). The authors'
`DeepfakeBench/preprocessing/rearrange.py` in that repository shows the format of the list, the crops in
`<method>/frames/`, and that the folder of Celeb-DF's own fakes may be called `Celeb-DF-v2`; it tells real from fake by
the folder. The numbers in the list are those of Celeb-DF. The names of fakes are not documented: that they begin with
the target video as in Celeb-DF, with talking faces named `id29_0002_test_id08701_…`, is known from public loaders. A
fake whose name doesn't contain a target video is left out and counted, because its source is unknown.

Nearly every real video has some fake in the list, so that training on the rest would see scenes of the test set: only
the videos of the list are used, for testing, unless `split: official`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from addnet.data.layouts.celebdf import FOLDERS, RELATED, TEST_LIST, TestList, read_test_list
from addnet.data.layouts.frames import NO_VIDEOS, VideoCollection, clip_paths, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings
from addnet.data.layouts.names import celeb_group, celeb_source_group, made_of_celeb
from addnet.data.layouts.tree import Tree, stem
from addnet.errors import require_choice
from addnet.index.records import FAKE, REAL, Record

DATASET = "Celeb-DF++"
SPLITS = ("test", "official")
SCENARIOS = {
    "FaceSwap": "Celeb-DF BlendFace GHOST HifiFace InSwapper MobileFaceSwap SimSwap UniFace",
    "FaceReenact": "DaGAN FSRT HyperReenact LIA LivePortrait MCNET TPSMM",
    "TalkingFace": "AniTalker EchoMimic EDTalk FLOAT IP_LAP Real3DPortrait SadTalker",
}
METHODS = {method: scenario for scenario, methods in SCENARIOS.items() for method in methods.split()}
_REALS = tuple(folder for folder, label in FOLDERS.items() if label == REAL)
_FAKES, _YOUTUBE = "Celeb-synthesis", "YouTube-real"
_OWN, _OWN_ELSEWHERE = "FaceSwap/Celeb-DF", "FaceSwap/Celeb-DF-v2"
_WHERE = "form in the README of github.com/OUC-VAS/Celeb-DF-PP"


def scan_celebdfpp(
    root: Path,
    *,
    methods: Sequence[str] | None = None,
    split: str = "test",
    related: str = "leave_out",
    test_list: str | None = None,
    source: str = "auto",
) -> Listing:
    """Lists Celeb-DF++.

    Args:
        root: Holds `Celeb-real/`, `YouTube-real/`, `Celeb-synthesis/` and the list.
        methods: Methods whose fakes are listed, such as `[SimSwap, SadTalker]`; None: all.
        split: `test`: only the videos of the official list; `official`: the others too, for training.
        related: What to do with training videos whose target video is tested, itself or as a fake: `leave_out` or
            `keep` (needs `data.allow_overlap=true`).
        test_list: File of the list, relative to `root` or absolute; None: `List_of_testing_videos.txt`.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    require_choice("data.options.split", split, SPLITS)
    require_choice("data.options.related", related, RELATED)
    taken = list(METHODS) if methods is None else methods
    for method in taken:
        require_choice("data.options.methods", method, METHODS)
    tree, findings = Tree(root), ListFindings()
    tests = read_test_list(root, test_list or TEST_LIST, where=_WHERE)
    findings.missing += tests.missing
    findings.notes += tests.notes
    plan = _SplitPlan(tests, split, keep=related == "keep")
    folders = {folder: folder for folder in _REALS} | {_folder(tree, method): method for method in taken}
    paths = {folder: clip_paths(tree, folder) for folder in folders}
    if not any(paths[folder] for folder in folders if folder not in _REALS):
        findings.lacks(_FAKES, f"fake videos ({_WHERE})", needed=True)
    parts = [_part(tree, folder, method, paths[folder], plan, source, findings) for folder, method in folders.items()]
    wanted = {_listed(folder) for folder in folders}
    absent = [video for video in plan.tests - plan.seen if video.rpartition("/")[0] in wanted]
    unknown = {path for scenario in SCENARIOS for path in _unknown(tree, scenario)}
    findings.note(
        unknown,
        "folder is not read: its name is not a known method",
        "folders are not read: their names are not known methods",
    )
    findings.note(absent, "video of the test list is missing", "videos of the test list are missing")
    findings.note(plan.related, *_left_out("whose target video is also tested (data.options.related)"))
    findings.note(
        plan.untested, *_left_out(f"that {TEST_LIST} doesn't name (data.options.split=official trains on them)")
    )
    return findings.listing(parts)


class _SplitPlan:
    """Decides which split each video is in.

    Attributes:
        tests: Videos of the list, as `Celeb-synthesis/<scenario>/<method>/<video>` or `<folder>/<video>`.
        seen: Those of them that exist.
        related: Videos that are left out because they share the target video of a tested one.
        untested: Videos that are left out because only tests are used.
    """

    def __init__(self, tests: TestList, split: str, *, keep: bool) -> None:
        self.tests = {_listed(video) for video in tests.videos}
        self.seen: set[str] = set()
        self.related: list[str] = []
        self.untested: list[str] = []
        self._without_list, self._split = bool(tests.missing), split
        self._tested = set() if keep else {_group(*video.rpartition("/")[::2]) for video in self.tests}

    def split(self, video: str, group: str) -> str:
        """`test`, `train`, or empty if the video is left out."""
        if self._without_list:
            return ""
        if video in self.tests:
            self.seen.add(video)
            return "test"
        if self._split == "test":
            self.untested.append(video)
            return ""
        if group in self._tested:
            self.related.append(video)
            return ""
        return "train"


def _folder(tree: Tree, method: str) -> str:
    """The folder with the fakes of a method."""
    folder = f"{_FAKES}/{METHODS[method]}/{method}"
    other = folder.replace(_OWN, _OWN_ELSEWHERE)
    return other if tree.has_folder(other) and not tree.has_folder(folder) else folder


def _unknown(tree: Tree, scenario: str) -> list[str]:
    """Folders of a scenario that don't belong to a known method."""
    folder = f"{_FAKES}/{scenario}"
    known = {*METHODS, _OWN_ELSEWHERE.rpartition("/")[2], *NO_VIDEOS}
    return [f"{folder}/{name}" for name in tree.folders(folder) - known]


def _listed(path: str) -> str:
    """A path in which the folder of Celeb-DF's own fakes has the name that the list gives it."""
    return path.replace(_OWN_ELSEWHERE, _OWN)


def _part(
    tree: Tree, folder: str, method: str, paths: list[str], plan: _SplitPlan, source: str, findings: ListFindings
) -> VideoCollection:
    label, key = REAL if folder in _REALS else FAKE, _listed(folder)
    if not paths:
        findings.lacks(folder, f"videos ({_WHERE})", needed=folder == _REALS[0])
    odd = [path for path in paths if not _group(key, stem(path))]
    findings.note(
        odd,
        "video is left out: its name doesn't begin with a target video, as id1_id0_0007 does",
        "videos are left out: their names don't begin with a target video, as id1_id0_0007 does",
    )

    def clips() -> Iterator[Record]:
        for path in paths:
            name = stem(path)
            if (group := _group(key, name)) and (split := plan.split(f"{key}/{name}", group)):
                origin = made_of_celeb(name)
                yield Record(
                    path=path,
                    label=label,
                    split=split,
                    video_id=f"{DATASET}/{method}/{name}",
                    group_id=group,
                    dataset=DATASET,
                    method=method,
                    identity=" ".join(origin.identities) if origin else "",
                )

    return collect(tree, clips(), source=source)


def _group(folder: str, name: str) -> str:
    """The group of a video in a folder; empty if its name doesn't contain a target video."""
    if folder == _YOUTUBE:
        return celeb_group(name)
    origin = made_of_celeb(name)
    return celeb_source_group(origin) if origin else ""


def _left_out(which: str) -> tuple[str, str]:
    """The note about one video that is left out, and about several."""
    return f"video {which} is left out", f"videos {which} are left out"
