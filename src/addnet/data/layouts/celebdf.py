"""Celeb-DF, versions 1 and 2.

    Celeb-real/id0_0000.mp4             also in Celeb-real/videos/, with crops in Celeb-real/frames/id0_0000/
    Celeb-synthesis/id0_id16_0000.mp4
    YouTube-real/00000.mp4
    List_of_testing_videos.txt          `1 YouTube-real/00170.mp4`, `0 Celeb-synthesis/id1_id0_0007.mp4`

The folders are described in the README of celeb-deepfakeforensics. It doesn't say what the numbers in the list mean; in
the list itself all `real` folders have 1 and all of `Celeb-synthesis` 0, so 1 is real. The class is taken from the
folder.

The list contains fakes whose target video it doesn't contain (`id16_id20_0000`, not `id16_0000`), so that training on
all other videos would see scenes of the test set. Such training videos are left out unless `related: keep`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from addnet.data.layouts.listing import Listing, MissingPart
from addnet.data.layouts.lists import few
from addnet.data.layouts.names import CELEBDF, celeb_group, celeb_origin
from addnet.data.layouts.parts import Part, VideoPlace, list_parts
from addnet.data.layouts.text_files import read_text
from addnet.data.layouts.tree import Tree
from addnet.errors import UserError, require_choice
from addnet.index.records import FAKE, REAL
from addnet.wording import count

VERSIONS = ("v1", "v2")
RELATED = ("leave_out", "keep")
TEST_LIST = "List_of_testing_videos.txt"
WHERE = "github.com/yuezunli/celeb-deepfakeforensics; it comes with the data"
FOLDERS = {"Celeb-real": REAL, "YouTube-real": REAL, "Celeb-synthesis": FAKE}
_LISTED_IN_V2 = 518
_LIST_LABELS = {"1": REAL, "0": FAKE}


@dataclass(frozen=True)
class TestList:
    """The official test list.

    Attributes:
        videos: `folder/video` of each listed video, without suffix.
        groups: Groups that have a video in the list.
        missing: The list, if its file doesn't exist.
        notes: Contradictions in the list.
    """

    videos: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    missing: list[MissingPart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def scan_celebdf(
    root: Path, *, version: str = "v2", related: str = "leave_out", test_list: str | None = None, source: str = "auto"
) -> Listing:
    """Lists Celeb-DF: the videos of the official list are test, the others train.

    Args:
        root: Holds `Celeb-real/`, `YouTube-real/` and `Celeb-synthesis/`.
        version: `v1` or `v2`; names the data set.
        related: What to do with training videos whose target video is also in the test list, itself or as a fake:
            `leave_out` or `keep` (as others train; needs `data.allow_overlap=true`).
        test_list: File of the list, relative to `root` or absolute; None: `List_of_testing_videos.txt`.
        source: `videos`, `images` or `auto` (images where there are any).

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    require_choice("data.options.version", version, VERSIONS)
    require_choice("data.options.related", related, RELATED)
    tree = Tree(root)
    tests = read_test_list(root, test_list or TEST_LIST)

    def place(part: Part, video: str) -> VideoPlace | str:
        if tests.missing:
            return "because the official test list is missing"
        return _place(f"{part.method}/{video}", tests, keep=related == "keep")

    dataset = f"{CELEBDF}-{version}"
    parts = [Part(folder, label, folder) for folder, label in FOLDERS.items()]
    listing = list_parts(tree, parts, place, dataset=dataset, source=source)
    notes = [*tests.notes, *listing.notes]
    if version == "v2" and not tests.missing and len(tests.videos) != _LISTED_IN_V2:
        listed = count(len(tests.videos), "video")
        notes.append(f"{TEST_LIST} names {listed}; the list of version 2 names {_LISTED_IN_V2}")
    seen = {
        name.removeprefix(f"{dataset}/") for kind in (listing.images, listing.videos) for name in kind.names("video_id")
    }
    if absent := tests.videos - seen:
        gone = count(len(absent), "video of the test list is", "videos of the test list are")
        notes.append(f"{gone} missing: {few(absent)}")
    return replace(listing, missing=[*tests.missing, *listing.missing], notes=notes)


def read_test_list(root: Path, file: str, *, where: str = WHERE) -> TestList:
    """Reads the official test list; `where` says where to get it.

    Raises:
        UserError: A line doesn't consist of a number and the path of a video.
    """
    path = root / file
    if not path.is_file():
        return TestList(missing=[MissingPart(file, f"official test list ({where})", needed=True)])
    videos, odd = [], []
    for line in read_text(path).text.splitlines():
        if not line.strip():
            continue
        number, _, name = line.strip().partition(" ")
        folder, _, video = name.strip().replace("\\", "/").removesuffix(".mp4").partition("/")
        if folder not in FOLDERS or number not in _LIST_LABELS:
            raise UserError(
                f"{path}: {line!r} is not a line such as '1 YouTube-real/00170.mp4'; get the list again ({where})"
            )
        videos.append(f"{folder}/{video}")
        if _LIST_LABELS[number] != FOLDERS[folder]:
            odd.append(line.strip())
    lines = count(len(odd), "line contradicts its folder", "lines contradict their folders")
    notes = [f"{file}: {lines}; the folder decides: {few(odd)}"] if odd else []
    groups = frozenset(celeb_group(video.partition("/")[2]) for video in videos)
    return TestList(frozenset(videos), groups, notes=notes)


def _place(video: str, tests: TestList, *, keep: bool) -> VideoPlace | str:
    name = video.partition("/")[2]
    origin = celeb_origin(name)
    group = celeb_group(name)
    split = "test" if video in tests.videos else "train"
    if split == "train" and group in tests.groups and not keep:
        return "whose target video is also in the test list (data.options.related)"
    return VideoPlace(split, group, " ".join(origin.identities) if origin else "")
