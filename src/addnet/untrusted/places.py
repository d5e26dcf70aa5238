"""Paths that strangers wrote down (in an index, a manifest, a list) stay below the folder that the user named."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from addnet.errors import UserError
from addnet.untrusted.texts import shown

SUSPICIOUS = r"^/|\.\.|\x00"  # names without it stay below a folder where there are no links; for whole columns


class OutsideError(NamedTuple):
    """A name that leads out of its folder.

    Attributes:
        position: Among the names that were asked for.
        reason: Why, as the end of a sentence.
    """

    position: int
    reason: str


def below(root: str | Path, name: str, *, outside: bool = False, remedy: str = "leave it out") -> Path:
    """The path of a file that a stranger's file names.

    Args:
        root: Folder that the user named.
        name: Relative to it, or absolute and below it.
        outside: The user said that paths may lead anywhere.
        remedy: What to do, as the end of a sentence.

    Raises:
        UserError: It leads out of the folder (absolute, by `..` or by a link), or can't be the name of a file.
    """
    if (found := first_outside(root, [name], outside=outside)) is not None:
        raise UserError(f"{shown(name)} {found.reason}; {remedy}")
    return Path(root, name)


def first_outside(
    root: str | Path, names: Iterable[str], *, outside: bool = False, links: bool = True
) -> OutsideError | None:
    """The first of many names that can't be a file below a folder; each folder on their way is looked at once.

    Args:
        root: As for `below`.
        names: As for `below`; members of archives too, as `archive.tar/member`.
        outside: Only what can't be the name of a file is told.
        links: Links that lead out are told as well; otherwise names alone count, and nothing is looked at.
    """
    folders = _Folders(root)
    for position, name in enumerate(names):
        if "\0" in name:
            return OutsideError(position, "holds a NUL character, which no name of a file has")
        if outside:
            continue
        if leads_out(root, name):
            return OutsideError(position, f"lies outside of {shown(folders.root)}")
        if links and folders.linked_out(name):
            return OutsideError(position, f"is, or lies behind, a link that leads out of {shown(folders.root)}")
    return None


def leads_out(root: str | Path, name: str) -> bool:
    """Whether a name leads out of a folder, told by its words alone.

    Example:
        >>> [leads_out("/data", name) for name in ("a/../b.jpg", "/data/b.jpg", "../b.jpg", "/etc/b.jpg")]
        [False, False, True, True]
    """
    if not name.startswith("/") and ".." not in name:
        return False
    start = os.path.abspath(root)  # noqa: PTH100 - lexically: links are looked at elsewhere
    return not _is_below(start, os.path.normpath(os.path.join(start, name)))  # noqa: PTH118


class _Folders:
    """Folders below a root: where each really lies, and which links are in it."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._real = os.path.realpath(root)
        self._known: dict[str, tuple[bool, frozenset[str]]] = {}

    def linked_out(self, name: str) -> bool:
        """Whether a link leads from the root to something that isn't below it."""
        folder, _, file = name.rpartition("/")
        if folder not in self._known:
            path = os.path.join(self.root, folder or ("/" if name.startswith("/") else ""))  # noqa: PTH118
            self._known[folder] = not _is_below(self._real, os.path.realpath(path)), _links(path)
        out, links = self._known[folder]
        return out or (file in links and not _is_below(self._real, os.path.realpath(Path(self.root, name))))


def _is_below(root: str, path: str) -> bool:
    return path == root or path.startswith(root if root.endswith("/") else f"{root}/")


def _links(folder: str) -> frozenset[str]:
    """Names of the links in a folder; none where it can't be read, which is told by who opens its files."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:
        return frozenset()
