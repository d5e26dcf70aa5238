"""DF40: fakes by forty methods, as the crops that the authors distribute.

    DF40_train/simswap/frames/000_003/000.png          fakes made from FaceForensics++ (c23), for training
    DF40_train/StyleGAN2/001/seed0188.png
    DF40/simswap/{ff,cdf}/frames/000_003/000.png       fakes for testing, from FaceForensics++ and Celeb-DF
    DF40/DiT/cdf/YouTube-real/00043/458.png
    DF40/heygen/{fake,real}/…                          nine methods with real images of their own
    FaceForensics++/…, Celeb-DF-v2/…                   the real images of all others

DF40's README says what each archive holds, and that training is on FaceForensics++ only and testing on both. The
folders inside are those of the paths in its `rearrange.py` and of projects that read its JSON; the README doesn't list
them, so any depth is accepted. The layout `deepfakebench` reads its JSON descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from addnet.data.layouts.celebdf import TEST_LIST, TestList, read_test_list
from addnet.data.layouts.faceforensics import original_part
from addnet.data.layouts.listing import Listing, MissingPart
from addnet.data.layouts.lists import few
from addnet.data.layouts.names import DF40, celeb_group, celeb_origin, own_group, pair_group, pair_of
from addnet.data.layouts.pairs import SourceSplits, read_official
from addnet.data.layouts.parts import Part, VideoPlace, list_parts
from addnet.data.layouts.tree import Tree
from addnet.errors import require_choice
from addnet.index.records import FAKE, REAL, Record, Records
from addnet.wording import count

DOMAINS = ("ff", "cdf", "own")
FOLDERS = {"train": "DF40_train", "test": "DF40"}
_FACEFORENSICS, _CELEBDF = "FaceForensics++", "Celeb-DF-v2"
_SIDES = {"real": REAL, "fake": FAKE}
_NO_VIDEOS = {*_SIDES, "inversions"}  # inversions: of e4e, one image for each original


def scan_df40(
    root: Path, *, methods: Sequence[str] | None = None, domains: Sequence[str] = DOMAINS, splits: str | None = None
) -> Listing:
    """Lists DF40: `DF40_train/` is train, `DF40/` is test; real images by the official lists of their data sets.

    Args:
        root: Holds `DF40/`, `DF40_train/`, `FaceForensics++/` and `Celeb-DF-v2/`.
        methods: Names of the methods' folders, such as `[simswap, heygen]`; None: all that exist.
        domains: Fakes made from FaceForensics++ (`ff`), from Celeb-DF (`cdf`), or with real images of their `own`.
        splits: Folder of the lists of FaceForensics++; None: in `FaceForensics++/`.

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    tree = Tree(root)
    for domain in domains:
        require_choice("data.options.domains", domain, DOMAINS)
    there = sorted({name for folder in FOLDERS.values() for name in tree.folders(folder)})
    for method in methods or ():
        require_choice("data.options.methods", method, there)
    pairs = read_official(root, splits, base=_FACEFORENSICS) if "ff" in domains else SourceSplits()
    tests = read_test_list(root, f"{_CELEBDF}/{TEST_LIST}") if "cdf" in domains else TestList()
    fakes = _Fakes(tree, pairs, frozenset(methods or there), frozenset(domains))
    made = Records.of(record for split in FOLDERS for record in fakes.records(split))
    originals = _originals(tree, pairs, tests, domains)
    absent = [split for split, name in FOLDERS.items() if not tree.folders(name)]
    missing = [MissingPart(FOLDERS[split], f"fakes for {split}", needed=not there) for split in absent]
    return Listing(
        Records.concat([made, originals.images]),
        missing=[*pairs.missing, *tests.missing, *missing, *originals.missing],
        notes=[*pairs.notes, *tests.notes, *fakes.notes(), *originals.notes],
    )


@dataclass(frozen=True)
class _Fakes:
    """The methods' folders."""

    tree: Tree
    pairs: SourceSplits
    methods: frozenset[str]
    domains: frozenset[str]
    tested: list[str] = field(default_factory=list)

    def records(self, split: str) -> Iterator[Record]:
        base = FOLDERS[split]
        for method in sorted(self.tree.folders(base) & self.methods):
            for folder, images in self.tree.image_folders(f"{base}/{method}"):
                inner = PurePosixPath(folder).relative_to(base)
                side, domain = _kind(inner, split)
                if domain not in self.domains:
                    continue
                for number, name in images:
                    if record := self._record(inner / name, number, split, _SIDES[side], domain):
                        yield record

    def notes(self) -> list[str]:
        """What was left out."""
        if not self.tested:
            return []
        videos = sorted(set(self.tested))
        return [f"left out {count(len(videos), 'video')} of train whose originals are tested: {few(videos)}"]

    def _record(self, file: PurePosixPath, number: int, split: str, label: int, domain: str) -> Record | None:
        # a folder is a video, but in a folder that is only a side or inversions, each image is a separate video
        alone = len(file.parts) == 2 or file.parent.name.lower() in _NO_VIDEOS
        kept = [part for part in (file.parent / file.stem if alone else file.parent).parts if part != "frames"]
        key = "/".join(kept)
        group, identity, source_split = self._source(kept[-1], domain, own_group(DF40, key))
        if split == "train" and source_split == "test":
            self.tested.append(key)
            return None
        return Record(
            path=f"{FOLDERS[split]}/{file}",
            label=label,
            split=split,
            video_id=f"{DF40}/{key}",
            group_id=group,
            dataset=DF40,
            method=kept[0],
            identity=identity,
            frame=-1 if alone else number,
        )

    def _source(self, video: str, domain: str, own: str) -> tuple[str, str, str]:
        """Group and identities of a fake's sources, and `test` if a source is in an official test list."""
        if domain == "ff" and (ids := pair_of(video)):
            splits = {self.pairs.splits.get(number, "") for number in ids}
            return self.pairs.groups.get(ids[0], pair_group(*ids)), " ".join(ids), "test" if "test" in splits else ""
        if domain == "cdf":
            origin = celeb_origin(video)
            return celeb_group(video), " ".join(origin.identities) if origin else "", "test"
        return own, "", ""


def _kind(folder: PurePosixPath, split: str) -> tuple[str, str]:
    """Side (`real` or `fake`) and domain of a folder below `DF40/` or `DF40_train/`."""
    parts = [part.lower() for part in folder.parts[1:]]
    if side := next((part for part in parts if part in _SIDES), ""):
        return side, "own"
    return "fake", "cdf" if split == "test" and "cdf" in parts else "ff"


def _originals(tree: Tree, pairs: SourceSplits, tests: TestList, domains: Sequence[str]) -> Listing:
    def place(part: Part, video: str) -> VideoPlace | str:
        if part.method != "youtube":
            listed = f"{part.method}/{video}" in tests.videos
            origin = celeb_origin(video)
            identity = " ".join(origin.identities) if origin else ""
            return VideoPlace("test", celeb_group(video), identity) if listed else "that are not in the test list"
        found = pairs.place(video)
        if isinstance(found, VideoPlace) and found.split == "val":
            return "of the validation list, for which DF40 has no fakes"
        return found

    parts = []
    if "ff" in domains:
        parts.append(original_part("c23", base=_FACEFORENSICS))
    if "cdf" in domains:
        parts += [Part(f"{_CELEBDF}/{name}", REAL, name) for name in ("Celeb-real", "YouTube-real")]
    return list_parts(tree, parts, place, dataset=DF40, source="images")
