"""WildDeepfake: face sequences of videos from the internet, in archives that are read without unpacking.

    [deepfake_in_the_wild/]{real,fake}_{train,test}/<N>.tar.gz    plain tar in spite of the name, or gzipped
        ./<N>/{real,fake}/<sequence>/<frame>.png                  224 × 224; <frame> counts in the source video

The README at github.com/OpenTAI/wild-deepfake writes `real train` with a blank, the copy at Hugging Face
(xingjunm/WildDeepfake) `real_train`; both are read, and so are archives that were unpacked in place. Frame numbers have
gaps. According to the README there are 7,314 sequences from 707 videos, but which sequences come from one video is not
documented: **train and test may share source videos**, and so may training and the validation set carved out of it.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from addnet.data.layouts.listing import Listing, MissingPart
from addnet.data.layouts.names import WILDDEEPFAKE, own_group
from addnet.errors import UserError, require_choice
from addnet.faces.formats import IMAGE_SUFFIXES
from addnet.faces.walk import entries, is_junk, iter_images
from addnet.index.archives import ARCHIVE_SUFFIXES
from addnet.index.member_cache import members_of
from addnet.index.records import CLASS_NAMES, WHOLE_FILE, Record, Records
from addnet.wording import count

log = logging.getLogger(__name__)

SPLITS = ("train", "test")
GROUPS = ("sequence", "archive")
_PARENT = "deepfake_in_the_wild"
_PART = re.compile(r"(real|fake)[ _-]?(train|test)", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"\d+$")
_MOST_DIGITS = 18  # of a 64-bit number
_MOST_NAMED = 20
_NOTES = [
    "WildDeepfake does not document which sequences come from one source video: train and test may share some; say so "
    "with every metric",
    "WildDeepfake has no validation part: it is carved out of train",
]


@dataclass(frozen=True)
class _ArchiveFolder:
    """One of the four folders."""

    label: int
    split: str
    folder: Path
    name: str  # relative to the data folder


@dataclass
class _FolderFindings:
    """What to report about the folders."""

    notes: list[str] = field(default_factory=list)
    contradictions: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)


def scan_wilddeepfake(root: Path, *, group: str = "sequence", cache_dir: str | Path | None = None) -> Listing:
    """Lists the sequences of WildDeepfake, packed or unpacked.

    A damaged archive is left out as a whole and reported; so are images in an inner `real` or `fake` folder that
    contradicts the outer one. If both an archive and its unpacked folder exist, the archive is read.

    Args:
        root: Holds `real_train/`, `real_test/`, `fake_train/` and `fake_test/`, or `deepfake_in_the_wild/` with them.
        group: What validation must not split up: `sequence`, or `archive`, all sequences of one archive.
        cache_dir: Folder that caches the lists of archives' members and seek points of gzipped ones; None: no cache.

    Raises:
        UserError: No such folder, two folders of the same part, or an unknown `group`.
    """
    require_choice("data.options.group", group, GROUPS)
    parts = _parts(root)
    findings = _FolderFindings()
    missing = [
        MissingPart(
            f"{name}_{split}", f"archives <N>.tar.gz of {name} faces to {split}", needed=split == "train", split=split
        )
        for split in SPLITS
        for label, name in enumerate(CLASS_NAMES)
        if not any((part.label, part.split) == (label, split) for part in parts)
    ]
    lists = []
    for part in parts:
        records = Records.of(_records(part, group, Path(cache_dir) if cache_dir else None, findings))
        if not len(records):
            needed = part.split == "train"
            missing.append(MissingPart(f"{part.name}/<N>.tar.gz", "archives with images", needed, part.split))
        missing += _gaps(part)
        lists.append(records)
    return Listing(images=Records.concat(lists), missing=missing, notes=[*_NOTES, *_summary(findings)])


def _parts(root: Path) -> list[_ArchiveFolder]:
    if not root.is_dir():
        raise UserError(f"data.data_dir={root}: no such folder; it should hold real_train/, fake_train/ and so on")
    found: dict[tuple[str, int], _ArchiveFolder] = {}
    for parent in (root, root / _PARENT):
        for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
            match = _PART.fullmatch(folder.name)
            if not match or not folder.is_dir():
                continue
            label, split = CLASS_NAMES.index(match[1].lower()), match[2].lower()
            other = found.get((split, label))
            if other:
                raise UserError(f"{other.folder} and {folder} are the same part of WildDeepfake; keep one of them")
            found[split, label] = _ArchiveFolder(label, split, folder, folder.relative_to(root).as_posix())
    return [found[key] for key in sorted(found, key=lambda key: (SPLITS.index(key[0]), key[1]))]


def _records(part: _ArchiveFolder, group: str, cache_dir: Path | None, findings: _FolderFindings) -> Iterator[Record]:
    ids: dict[str, tuple[str, str] | None] = {}
    units = _units(part.folder)
    log.info("listing %s: %s", part.folder, count(len(units), "archive or folder", "archives or folders"))
    for unit in units.values():
        for path, offset, length in _images(unit, cache_dir, findings):
            folder, _, name = path.rpartition("/")
            if folder not in ids:
                ids[folder] = _ids(part, folder)
            known = ids[folder]
            if known is None:
                findings.contradictions[f"{part.name}/{folder}"] += 1
                continue
            sequence, archive = known
            yield Record(
                path=f"{part.name}/{path}",
                label=part.label,
                split=part.split,
                video_id=sequence,
                group_id=archive if group == "archive" else sequence,
                dataset=WILDDEEPFAKE,
                frame=_frame(name),
                offset=offset,
                length=length,
            )


def _frame(name: str) -> int:
    stem = name.rpartition(".")[0]
    if not stem.isdecimal():
        match = _LAST_NUMBER.search(stem)
        stem = match[0] if match else ""
    return int(stem) if 0 < len(stem) <= _MOST_DIGITS else -1


def _units(folder: Path) -> dict[str, list[Path]]:
    """Archives and folders by name without suffix, archives first; numeric names in numeric order."""
    units: dict[str, list[Path]] = {}
    paths = [Path(entry.path) for entry in entries(folder)]
    for path in sorted(paths, key=lambda path: (path.is_dir(), path.name)):
        name = _without_suffix(path.name)
        if path.is_dir() or name != path.name:
            units.setdefault(name, []).append(path)
    return dict(sorted(units.items(), key=lambda unit: (len(unit[0]) if unit[0].isdecimal() else 1 << 30, unit[0])))


def _without_suffix(name: str) -> str:
    suffix = next((s for s in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)]


def _images(unit: list[Path], cache_dir: Path | None, findings: _FolderFindings) -> Iterator[tuple[str, int, int]]:
    """Path below the part's folder, offset and length of each image, from the first place that is intact."""
    for number, place in enumerate(unit):
        if place.is_dir():
            for file in iter_images(place):
                yield file.relative_to(place.parent).as_posix(), WHOLE_FILE, 0
        else:
            try:
                members = members_of(place, cache_dir=cache_dir)
            except UserError as error:
                log.warning("left out: %s", error)
                findings.damaged.append(str(error))
                continue
            archive = place.name
            for member in members:
                name = member.name.rpartition("/")[2]
                if name.lower().endswith(IMAGE_SUFFIXES) and not is_junk(name):
                    yield f"{archive}/{member.name}", member.offset, member.length
        if ignored := [path.name for path in unit[number + 1 :]]:
            findings.notes.append(f"{place} is read; {', '.join(ignored)} next to it is ignored")
        return


def _ids(part: _ArchiveFolder, folder: str) -> tuple[str, str] | None:
    """Ids of the sequence and of its archive; None where an inner folder names the other class.

    `1.tar.gz/1/fake/0` and `1/fake/0` are the same sequence.
    """
    first, *rest = folder.split("/")
    names = [_without_suffix(first), *rest]
    classes = [position for position, name in enumerate(names) if name.lower() in CLASS_NAMES]
    if any(names[position].lower() != CLASS_NAMES[part.label] for position in classes):
        return None
    border = classes[0] if classes else len(names) - 1
    head = names[:border]
    if head[1:2] == head[:1]:
        head = head[1:]
    below = [*head, *names[border + len(classes[:1]) :]] or ["all"]
    start = (WILDDEEPFAKE, CLASS_NAMES[part.label], part.split)
    return own_group(*start, *below), own_group(*start, below[0])


def _gaps(part: _ArchiveFolder) -> list[MissingPart]:
    numbers = {int(name) for name in _units(part.folder) if name.isdecimal()}
    absent = sorted(set(range(min(numbers, default=0), max(numbers, default=0))) - numbers)
    if not absent:
        return []
    shown = ",".join(map(str, absent[:_MOST_NAMED])) + (",…" if len(absent) > _MOST_NAMED else "")
    what = f"{len(absent)} of the numbers up to {max(numbers)}; it is not known whether the numbering has gaps"
    return [MissingPart(f"{part.name}/{{{shown}}}.tar.gz", what)]


def _summary(findings: _FolderFindings) -> list[str]:
    notes = [f"left out: {text}" for text in findings.damaged[:_MOST_NAMED]]
    if len(findings.damaged) > _MOST_NAMED:
        notes.append(f"left out: {count(len(findings.damaged) - _MOST_NAMED, 'more damaged archive')}")
    for folder, number in list(findings.contradictions.items())[:_MOST_NAMED]:
        notes.append(f"left out: {count(number, 'image')} in {folder}, whose inner folder names the other class")
    if len(findings.contradictions) > _MOST_NAMED:
        notes.append(
            f"left out: images in {count(len(findings.contradictions) - _MOST_NAMED, 'more folder')} of that kind"
        )
    return notes + findings.notes
