"""The official split lists of FaceForensics++: `train.json`, `val.json`, `test.json`, pairs of source ids.

720, 140 and 140 ids (FaceForensics `dataset/README.md`, section 3), each list `[["071", "054"], …]`; both originals
of a pair and the fakes `071_054` and `054_071` of every method are in the same split.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from addnet.data.layouts.listing import MissingPart
from addnet.data.layouts.names import pair_group, pair_of
from addnet.data.layouts.parts import UNLISTED, VideoPlace
from addnet.data.layouts.text_files import read_json, read_text
from addnet.errors import UserError
from addnet.wording import count

OFFICIAL = {"train": 720, "val": 140, "test": 140}
WHERE = "github.com/ondyari/FaceForensics, folder dataset/splits"
_FOLDERS = ("splits", "dataset/splits", ".")


@dataclass(frozen=True)
class SourceSplits:
    """Where each source id belongs.

    Attributes:
        splits: Source id → split.
        groups: Source id → group of its pair.
        missing: Lists that are not there.
        notes: Lists that are not as long as the official ones.
    """

    splits: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    missing: list[MissingPart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def place(self, video: str) -> VideoPlace | str:
        """Where an original or a fake belongs, or why it is left out."""
        ids = pair_of(video)
        if not ids or any(number not in self.splits for number in ids):
            return UNLISTED
        if len({self.groups[number] for number in ids}) > 1:
            return "made from two videos that are not a pair in the official lists"
        return VideoPlace(self.splits[ids[0]], self.groups[ids[0]], " ".join(ids))


def read_official(root: Path, folder: str | None = None, *, base: str = "") -> SourceSplits:
    """Reads the three lists.

    Args:
        root: The data folder.
        folder: Where the lists are, relative to `root` or absolute; None: in `splits/`, `dataset/splits/` or `base`.
        base: Folder of FaceForensics++ in `root`.

    Raises:
        UserError: A list is damaged, or names an id that another list also names.
    """
    places = [Path(base, folder)] if folder else [Path(base, name) for name in _FOLDERS]
    pairs = SourceSplits()
    for split, number in OFFICIAL.items():
        files = [root / place / f"{split}.json" for place in places]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            expected = (places[0] / f"{split}.json").as_posix()
            pairs.missing.append(MissingPart(expected, f"official split list ({WHERE})", needed=True, split=split))
            continue
        ids = _add(pairs, file, split)
        if ids != number:
            pairs.notes.append(f"{file.name} names {count(ids, 'source video')}; the official list names {number}")
    return pairs


def _add(pairs: SourceSplits, file: Path, split: str) -> int:
    added = 0
    for first, second in _read(file):
        for number in (first, second):
            if number in pairs.splits:
                other = f"{pairs.splits[number]}.json"
                raise UserError(f"{file} names {number}, which {other} also names; take the lists from {WHERE}")
            pairs.splits[number] = split
            pairs.groups[number] = pair_group(first, second)
            added += 1
    return added


def _read(file: Path) -> list[tuple[str, str]]:
    try:
        content = read_json(read_text(file).text)
        return [(str(first), str(second)) for first, second in content]
    except (OSError, ValueError, TypeError) as error:
        expected = 'a list of pairs such as [["071", "054"], …]'
        raise UserError(f"{file} is not {expected} ({error}); take it from {WHERE}") from error
