"""Data that DeepfakeBench prepared: crops in `frames/`, landmarks in `landmarks/`, labels and splits in JSON files.

    FaceForensics++/original_sequences/youtube/c23/{frames/000/000.png, landmarks/000/000.npy}
    Celeb-DF-v2/Celeb-synthesis/{frames/id0_id16_0000/000.png, landmarks/…}
    dataset_json/{FF-DF,Celeb-DF-v2,…}.json

Sources: DeepfakeBench's README, `preprocessing/preprocess.py` (81 landmarks in pixels of the crop, the first 68 in the
usual order) and `rearrange.py`. In those descriptions some videos are in several splits (Celeb-DF: train holds all of
test; DeepFakeDetection and UADFV: all three are the same; DFDCP: val is test). Here each video is in one split: test
takes precedence over val, and val over train.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from addnet.data.layouts.bench_json import BenchVideo, class_of, dataset_of, method_of, read_description
from addnet.data.layouts.bench_paths import PathFolders
from addnet.data.layouts.bench_plan import Plan
from addnet.data.layouts.listing import Listing, MissingPart
from addnet.data.layouts.tree import Tree, frame_number
from addnet.errors import require_choice
from addnet.index.records import Record, Records

_PLACES = (".", "dataset_json", "preprocessing/dataset_json")
_WHERE = "written by DeepfakeBench's preprocessing/rearrange.py, shipped with DF40"


def scan_deepfakebench(
    root: Path,
    *,
    json: str | None = None,
    names: Sequence[str] | None = None,
    compression: str = "c23",
    labels: Mapping[str, str] | None = None,
) -> Listing:
    """Lists the frames that descriptions of DeepfakeBench name, with the landmarks that it found.

    Args:
        root: The data folder; the last parts of the paths in the descriptions are looked for below it.
        json: Folder of the descriptions, or a single one, relative to `root` or absolute; None: `root`,
            `dataset_json/` or `preprocessing/dataset_json/`.
        names: Which descriptions, such as `[FF-DF, FF-F2F]`; None: all.
        compression: Compression of FaceForensics++ and DeepFakeDetection.
        labels: `real` or `fake` for labels whose names don't show the class.

    Raises:
        UserError: The folder doesn't exist, or a description is invalid.
    """
    tree = Tree(root)
    files = _descriptions(root, json, names)
    if not files:
        expected = (Path(json or _PLACES[1]) / "*.json").as_posix()
        return Listing(missing=[MissingPart(expected, f"description ({_WHERE})", needed=True)])
    folders = PathFolders(tree)
    plan = Plan(folders)
    for file in files:
        plan.add(read_description(file, compression))
    plan.settle()
    records = Records.of(
        record
        for file in files
        for video in read_description(file, compression)
        for record in _records(video, plan, folders, labels or {})
    )
    return Listing(records, missing=folders.missing(), notes=plan.notes())


def _records(video: BenchVideo, plan: Plan, folders: PathFolders, labels: Mapping[str, str]) -> Iterator[Record]:
    place = plan.take(video)
    if place is None:
        return
    label = class_of(video.label, labels)
    dataset = dataset_of(video)
    for path, landmarks in folders.frames(video):
        yield Record(
            path=path,
            label=label,
            split=place.split,
            video_id=f"{dataset}/{folders.key(video)}",
            group_id=place.group_id,
            dataset=dataset,
            method=method_of(video.label),
            identity=place.identity,
            frame=frame_number(path),
            landmarks=landmarks,
        )


def _descriptions(root: Path, json: str | None, names: Sequence[str] | None) -> list[Path]:
    places = [root / json] if json else [root / place for place in _PLACES]
    if json and (root / json).is_file():
        return [root / json]
    files = next((found for place in places if (found := sorted(place.glob("*.json")))), [])
    if names is None or not files:
        return files
    known = {file.stem: file for file in files}
    for name in names:
        require_choice("data.options.names", name, known)
    return [known[name] for name in names]
