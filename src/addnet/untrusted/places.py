"""Keeps paths from untrusted files (an index, a manifest, a list) below the folder that the user named."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from addnet.errors import UserError
from addnet.untrusted.texts import shown

SUSPICIOUS = r"^/|\.\.|\x00"  # names that don't match stay below a folder without links; for whole columns


class OutsideError(NamedTuple):
    """A name that leads out of its folder.

    Attributes:
        position: Index of the name among those that were checked.
        reason: The reason, as the end of a sentence.
    """

    position: int
    reason: str


def below(root: str | Path, name: str, *, outside: bool = False, remedy: str = "leave it out") -> Path:
    """Returns the path of a file that an untrusted file names.

    Args:
        root: The folder that the user named.
        name: A path relative to `root`, or an absolute one below it.
        outside: Whether the user allows paths to lead anywhere.
        remedy: What to do, as the end of a sentence.

    Raises:
        UserError: The path leads out of the folder (absolute, by `..` or by a link), or is not a valid file name.
    """
    if (error := first_outside(root, [name], outside=outside)) is not None:
        raise UserError(f"{shown(name)} {error.reason}; {remedy}")
    return Path(root, name)


def first_outside(
    root: str | Path, names: Iterable[str], *, outside: bool = False, links: bool = True
) -> OutsideError | None:
    """Returns the first of many names that can't be a file below a folder; each folder is read only once.

    Args:
        root: The folder that the user named.
        names: Paths relative to `root`, or absolute; members of archives as `archive.tar/member`.
        outside: Whether paths may lead anywhere; then only invalid file names are reported.
        links: Whether links that lead out are reported too; if not, only the names are checked, without file access.
    """
    folders = _Folders(root)
    for position, name in enumerate(names):
        if "\0" in name:
            return OutsideError(position, "contains a NUL character, which no file name can")
        if outside:
            continue
        if leads_out(root, name):
            return OutsideError(position, f"lies outside {shown(folders.root)}")
        if links and folders.linked_out(name):
            return OutsideError(position, f"is a link, or is behind a link, that leads out of {shown(folders.root)}")
    return None


def leads_out(root: str | Path, name: str) -> bool:
    """Returns whether a name leads out of a folder, judged by the text alone.

    Example:
        >>> [leads_out("/data", name) for name in ("a/../b.jpg", "/data/b.jpg", "../b.jpg", "/etc/b.jpg")]
        [False, False, True, True]
    """
    if not name.startswith("/") and ".." not in name:
        return False
    start = os.path.abspath(root)  # noqa: PTH100 - lexically: links are checked elsewhere
    return not _is_below(start, os.path.normpath(os.path.join(start, name)))  # noqa: PTH118


class _Folders:
    """The folders below a root, with their real paths and the links in them."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._real = os.path.realpath(root)
        self._known: dict[str, tuple[bool, frozenset[str]]] = {}  # folder → (leads out, names of its links)

    def linked_out(self, name: str) -> bool:
        """Returns whether a link leads out of the root."""
        folder, _, file = name.rpartition("/")
        if folder not in self._known:
            path = os.path.join(self.root, folder or ("/" if name.startswith("/") else ""))  # noqa: PTH118
            self._known[folder] = not _is_below(self._real, os.path.realpath(path)), _links(path)
        out, links = self._known[folder]
        return out or (file in links and not _is_below(self._real, os.path.realpath(Path(self.root, name))))


def _is_below(root: str, path: str) -> bool:
    return path == root or path.startswith(root if root.endswith("/") else f"{root}/")


def _links(folder: str) -> frozenset[str]:
    """Returns the names of the links in a folder; none if it can't be read, which fails later on opening its files."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:
        return frozenset()
