"""Which folder holds what: common names of folders → split and class, with advice about other names."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from addnet.data.layouts.image_names import IMAGE_WORDS, words
from addnet.data.layouts.manifest_columns import LABELS, SPLITS
from addnet.errors import UserError
from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from addnet.faces.walk import NO_FACES, is_junk
from addnet.index.records import CLASS_NAMES

SPLIT_NAMES = ("train", "val", "test")
_BESIDE = IMAGE_WORDS | {"video", "videos"}  # words allowed in a folder's name alongside split and class
_DEEPEST = 3


class FolderPurpose(NamedTuple):
    """The split and class that a folder's name stands for; None: the name doesn't say."""

    split: str | None
    label: int | None


@lru_cache(maxsize=256)  # called for each file
def read_folder(name: str) -> FolderPurpose | None:
    """The split and class that the name of a folder stands for; None for all other names.

    Example:
        >>> read_folder("1_FAKE"), read_folder("Validation")
        (FolderPurpose(split=None, label=1), FolderPurpose(split='val', label=None))
        >>> read_folder("training_real"), read_folder("holdout")
        (FolderPurpose(split='train', label=0), None)
    """
    parts = [word for word in words(name.lower()) if not word.isdigit() and word not in _BESIDE]
    splits = {SPLITS[word] for word in parts if word in SPLITS}
    labels = {LABELS[word] for word in parts if word in LABELS}
    known = all(word in SPLITS or word in LABELS for word in parts)
    if not parts or not known or len(splits) > 1 or len(labels) > 1:
        return None
    return FolderPurpose(next(iter(splits), None), next(iter(labels), None))


class ClassFolders:
    """The folders of a data set: `<split>/<class>/`, `<split>_<class>/`, or only classes, which are for training.

    Args:
        root: The data folder.

    Raises:
        UserError: The folder doesn't exist, holds no folder for a split or class, or holds two for one split.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UserError(f"data.data_dir={root}: no such folder\n{expected_layout(root)}")
        self.root = root
        self.classes: dict[str, int] = {}
        self._top = {name: place for name in folders_in(root) if (place := read_folder(name))}
        self.has_splits = any(place.split for place in self._top.values())
        if not self._top or not (self.has_splits or any(place.label is not None for place in self._top.values())):
            raise UserError(f"{_none_found(root)}\n{expected_layout(root)}")
        if self.has_splits:
            self._top = {name: place for name, place in self._top.items() if place.split}
        homes: dict[FolderPurpose, str] = {}
        for name, place in self._top.items():
            if place.label is None and place in homes:
                raise UserError(
                    f"{root / homes[place]} and {root / name} are both for {place.split}; merge them into one folder"
                )
            homes[place] = name

    def place(self, path: str) -> tuple[str, int, int] | None:
        """Split and class of a file, and how many parts of its path they come from; None if it lies outside.

        Raises:
            UserError: It lies in a folder that stands for neither class.
        """
        top, *rest = path.split("/")
        if not rest or top not in self._top:
            if rest and not self.has_splits:
                raise UserError(self._unknown("", folders_in(self.root)))
            return None
        split, label = self._top[top]
        if label is not None:
            self.classes[top] = label
            return split or SPLIT_NAMES[0], label, 1
        if len(rest) < 2:
            return None
        inner = read_folder(rest[0])
        if inner is None or inner.label is None:
            raise UserError(self._unknown(top, folders_in(self.root / top)))
        self.classes[rest[0]] = inner.label
        return str(split), inner.label, 2

    def names(self) -> Mapping[str, list[str]]:
        """The folders of each split."""
        found: dict[str, list[str]] = {}
        for name, place in self._top.items():
            found.setdefault(place.split or SPLIT_NAMES[0], []).append(name)
        return found

    def notes(self) -> list[str]:
        """How folders were interpreted whose names are not those of the layout."""
        taken = {name: CLASS_NAMES[label] for name, label in self.classes.items()}
        if self.has_splits:
            taken |= {name: str(place.split) for name, place in self._top.items() if place.label is None}
            notes = []
        else:
            notes = ["no folder is called train, val or test: everything is used for training"]
        other = [f"{name}/ is {meaning}" for name, meaning in taken.items() if name.lower() != meaning]
        return notes + ([f"inferred from the names of folders: {', '.join(other)}"] if other else [])

    def _unknown(self, split: str, there: Iterable[str]) -> str:
        folder = self.root / split
        unknown = [name for name in there if (place := read_folder(name)) is None or place.label is None]
        return (
            f"unknown class folders in {folder}: {unknown}\n{_renaming(folder, unknown)}\n{expected_layout(self.root)}"
        )


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder that may hold faces, sorted.

    Raises:
        UserError: The folder can't be read.
    """
    try:
        names = [path.name for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror or error}") from error
    return sorted(name for name in names if not is_junk(name) and name.lower() not in NO_FACES)


def expected_layout(root: Path) -> str:
    """What the folder layout looks like, for error messages."""
    lines = [f"expected: {root}/"]
    lines += [f"            {split}/{name}/**/*" for split in ("train", "test") for name in CLASS_NAMES]
    suffixes = ", ".join((*IMAGE_SUFFIXES[:3], "…", *VIDEO_SUFFIXES[:3], "…"))
    lines.append(f"          with images or videos ({suffixes}); val/real/ and val/fake/ are optional")
    return "\n".join(lines)


def _renaming(folder: Path, unknown: list[str]) -> str:
    """How to rename folders, as commands that can be typed."""
    if set(unknown) == {"0", "1"}:
        lines = [f"mv {_quoted(folder / '0')} {_quoted(folder / 'real')}"]
        lines.append(f"mv {_quoted(folder / '1')} {_quoted(folder / 'fake')}")
        return "numbers don't say which class is fake; if 1 is fake, type\n  " + "\n  ".join(lines)
    name = unknown[0]
    inner = _quoted(folder / "fake" / name)
    line = f"mkdir -p {_quoted(folder / 'fake')} && mv {_quoted(folder / name)} {inner}"
    return (
        f"if everything in {name!r} is fake, type\n  {line}\n"
        f"names known as real: {_known(0)}; as fake: {_known(1)} (in upper or lower case, with or without a leading "
        "number)"
    )


def _known(label: int) -> str:
    return ", ".join(word for word, meaning in LABELS.items() if meaning == label and not word.isdigit())


def _none_found(root: Path) -> str:
    there = folders_in(root)
    for folder in _below(root):
        if any(read_folder(name) for name in folders_in(folder)):
            return f"{root} has no folders for training and test, but {folder} has; set data.data_dir={_quoted(folder)}"
    if set(there) == {"0", "1"}:
        return f"{root} has the folders {there}\n{_renaming(root, there)}"
    return f"{root} has neither a folder 'train' nor one for a class (found: {there})"


def _below(root: Path) -> Iterable[Path]:
    """Folders below a folder, as long as each holds exactly one."""
    for _ in range(_DEEPEST):
        names = folders_in(root)
        if len(names) != 1:
            return
        root = root / names[0]
        yield root


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
