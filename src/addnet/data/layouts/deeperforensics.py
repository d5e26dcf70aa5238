"""DeeperForensics-1.0: 100 actors' faces in the 1,000 videos of FaceForensics++, in 11 variants.

    manipulated_videos/<variant>/<target>_<actor>.mp4      such as end_to_end/000_W101.mp4
    lists/splits/{train,val,test}.txt                      the name of one manipulated video per line
    source_videos/<actor>/…                                not the real part, according to the authors

Folders, variants, names and lists: EndlessSora/DeeperForensics-1.0 `dataset/README.md`, which also names the real part:
the original videos of FaceForensics++ at C23, available from there. A real video is in the split of its fakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from addnet.data.layouts.frames import VideoCollection, clip_paths, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings, few, read_names
from addnet.data.layouts.names import pair_group, target_of
from addnet.data.layouts.tree import Tree, stem
from addnet.errors import UserError, require_choice
from addnet.index.records import FAKE, REAL, Record
from addnet.wording import count

DATASET = "DeeperForensics-1.0"
VARIANTS = (
    "end_to_end",
    "reenact_postprocess",
    *(f"end_to_end_level_{level}" for level in range(1, 6)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{number}_distortions" for number in range(2, 5)),
)
SPLITS = ("train", "val", "test")
CHOICES = ("official", "train", "test")
_REAL = re.compile(r"\d{3}")
_WHERE = "form at github.com/EndlessSora/DeeperForensics-1.0"


def scan_deeperforensics(
    root: Path,
    *,
    variants: Sequence[str] = VARIANTS[:1],
    originals: str | None = None,
    compression: str = "c23",
    split: str = "official",
    source: str = "auto",
) -> Listing:
    """Lists DeeperForensics-1.0.

    Args:
        root: Holds `manipulated_videos/` and `lists/`.
        variants: Which of the 11; all of them are made from the same 1,000 videos.
        originals: FaceForensics++, or a folder with its originals `000.mp4` …; None: they are looked for in `root`.
        compression: Compression of the originals.
        split: `official`: by the lists. `train` or `test`: everything, as in cross-dataset tests; needs no lists.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    require_choice("data.options.split", split, CHOICES)
    for variant in variants:
        require_choice("data.options.variants", variant, VARIANTS)
    tree, findings = Tree(root), ListFindings()
    splits = _official(tree, findings) if split == "official" else None
    parts = [_fakes(tree, variant, splits, split, source, findings) for variant in variants]
    if splits is None:
        groups = {name for part in parts for kind in (part.images, part.videos) for name in kind.names("group_id")}
        targets = {group.rpartition("/")[2]: split for group in groups}
    else:
        targets = _targets(splits, findings)
    parts.append(_reals(root, originals, compression, targets, source, findings))
    if tree.has_folder("source_videos"):
        findings.notes.append("source_videos/ is left out: it is not the real part (see the authors' README)")
    return findings.listing(parts)


def _official(tree: Tree, findings: ListFindings) -> dict[str, str]:
    """Video → split, from all lists that exist."""
    files = {split: f"lists/splits/{split}.txt" for split in SPLITS}
    absent = [file for file in files.values() if not tree.has_file(file)]
    for file in absent:
        findings.lacks(
            file,
            f"official split list ({_WHERE}); data.options.split=test needs none",
            needed=len(absent) == len(files),
        )
    names = {split: read_names(tree.root / file) for split, file in files.items() if file not in absent}
    return {stem(name): split for split, listed in names.items() for name in listed}


def _targets(splits: dict[str, str], findings: ListFindings) -> dict[str, str]:
    """Original → split of its fakes."""
    targets: dict[str, str] = {}
    torn = set()
    for name, split in splits.items():
        if targets.setdefault(name[:3], split) != split:
            torn.add(name[:3])
    findings.note(
        torn,
        "original has fakes in two lists and is in the split of the first",
        "originals have fakes in two lists and are in the split of the first",
    )
    return targets


def _fakes(
    tree: Tree, variant: str, splits: dict[str, str] | None, split: str, source: str, findings: ListFindings
) -> VideoCollection:
    folder = f"manipulated_videos/{variant}"
    present = {stem(path): path for path in clip_paths(tree, folder)}
    if not present:
        findings.lacks(folder, f"fake videos ({_WHERE})", needed=True)
    names = splits if splits is not None and present else dict.fromkeys(present, split)
    unnamed, why = set(present) - set(names), "left out: no list names"
    findings.note(unnamed, f"video of {variant} is {why} it", f"videos of {variant} are {why} them")
    findings.note(
        [n for n in names if not target_of(n)],
        "name is left out: expected <target>_<actor>",
        "names are left out: expected <target>_<actor>",
    )

    def clips() -> Iterator[Record]:
        for name, where in names.items():
            if who := target_of(name):
                path, video = present.get(name, f"{folder}/{name}.mp4"), f"{DATASET}/{variant}/{name}"
                yield Record(
                    path=path,
                    label=FAKE,
                    split=where,
                    video_id=video,
                    group_id=pair_group(who[0]),
                    dataset=DATASET,
                    method=variant,
                    identity=" ".join(who),
                )

    return collect(tree, clips(), source=source)


def _reals(
    root: Path, originals: str | None, compression: str, targets: dict[str, str], source: str, findings: ListFindings
) -> VideoCollection:
    place = root if originals is None else Path(originals).expanduser().absolute()
    if not place.is_dir():
        raise UserError(f"data.options.originals={originals}: no such folder; expected FaceForensics++")
    tree = Tree(place)
    inside = f"original_sequences/youtube/{compression}"
    folder = inside if tree.has_folder(inside) else ""
    present = {stem(path): path for path in clip_paths(tree, folder) if _REAL.fullmatch(stem(path))}
    if not present:
        where = f"{inside}/videos" if originals is None else f"{originals}/{inside}/videos"
        what = (
            "real videos: originals of FaceForensics++ (github.com/ondyari/FaceForensics); see data.options.originals"
        )
        findings.lacks(where, what)
        return collect(tree, ())
    if absent := [name for name in targets if name not in present]:
        findings.notes.append(f"{count(len(absent), 'original is', 'originals are')} missing: {few(absent)}")

    def clips() -> Iterator[Record]:
        for name, path in present.items():
            if name in targets:
                video = f"{DATASET}/youtube/{compression}/{name}"
                yield Record(
                    path=path,
                    label=REAL,
                    split=targets[name],
                    video_id=video,
                    group_id=pair_group(name),
                    dataset=DATASET,
                    method="youtube",
                    identity=name,
                )

    found = collect(tree, clips(), source=source)
    return found if originals is None else found.elsewhere(tree.root)
