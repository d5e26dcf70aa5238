"""DeepFakeDetection (Google and Jigsaw), which is distributed in the folder tree of FaceForensics++.

    original_sequences/actors/<compression>/{videos/01__hugging_happy.mp4, images/…}
    manipulated_sequences/DeepFakeDetection/<compression>/{videos/01_03__hugging_happy__ISF9SP4G.mp4, images/…}

Folders: FaceForensics `dataset/extract_compressed_videos.py`. There is no official split (FaceForensics#63): the field
uses all of it as a test set, and so does `split: test`. `split: actors` is this program's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from addnet.data.layouts.faceforensics import COMPRESSIONS
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.names import DFD, scene_group, scene_of
from addnet.data.layouts.parts import Part, VideoPlace, list_parts
from addnet.data.layouts.tree import Tree
from addnet.errors import require_choice
from addnet.index.records import FAKE, REAL

SPLITS = ("test", "actors")
TEST_ACTORS = (21, 22, 23, 24, 25, 26, 27, 28)


def scan_dfd(
    root: Path,
    *,
    compression: str = "c23",
    split: str = "test",
    test_actors: Iterable[int | str] = TEST_ACTORS,
    source: str = "auto",
) -> Listing:
    """Lists DeepFakeDetection.

    A fake is made from two actors' videos of one scene, and belongs to the groups of both.

    Args:
        root: Holds `original_sequences/` and `manipulated_sequences/`.
        compression: `raw`, `c23` or `c40`.
        split: `test`: everything. `actors`: test holds the videos of only `test_actors`, train those of only the
            others; fakes with one actor from each side are left out.
        test_actors: Numbers of the actors, 1 to 28.
        source: `videos`, `images` or `auto` (images where there are any).

    Raises:
        UserError: Unknown option or no such folder.
    """
    require_choice("data.options.compression", compression, COMPRESSIONS)
    require_choice("data.options.split", split, SPLITS)
    chosen = {f"{int(actor):02d}" for actor in test_actors} if split == "actors" else None
    parts = [
        Part(f"original_sequences/actors/{compression}", REAL, "actors", f"actors/{compression}"),
        Part(f"manipulated_sequences/{DFD}/{compression}", FAKE, DFD, f"{DFD}/{compression}"),
    ]
    listing = list_parts(Tree(root), parts, lambda _, video: _place(video, chosen), dataset=DFD, source=source)
    note = "there is no official split: " + (
        "everything is used for testing" if chosen is None else "train and test are split by actor"
    )
    return replace(listing, notes=[*listing.notes, note])


def _place(video: str, test_actors: set[str] | None) -> VideoPlace | str:
    origin = scene_of(video)
    if origin is None:
        return "that are not named like 01__scene or 01_02__scene__CODE"
    identity = " ".join(origin.identities)
    if test_actors is None:
        return VideoPlace("test", scene_group(origin), identity)
    sides = {actor in test_actors for actor in origin.identities}
    if len(sides) > 1:
        return "with one actor from each side"
    return VideoPlace("test" if sides.pop() else "train", scene_group(origin), identity)
