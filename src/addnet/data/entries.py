"""Parses entries of `data.train`, `data.val` and `data.test` without reading the files that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TABLES = (".csv", ".json", ".jsonl", ".tsv")  # suffixes of manifests
KEYS = ("layout", "data_dir", "index", "options")  # of a mapping; all others are options of the layout


def entry_place(entry: Any) -> str:
    """The folder or file that an entry names; empty if it names none.

    Example:
        >>> entry_place("celebdf:/data/CDF"), entry_place({"layout": "dfd", "data_dir": "/data/DFD"})
        ('/data/CDF', '/data/DFD')
    """
    if isinstance(entry, Mapping):
        return str(entry.get("data_dir") or entry.get("index") or "")
    layout, _, folder = str(entry).partition(":")
    return folder if folder and layout.isidentifier() else str(entry)


def entry_layout(entry: Any) -> str:
    """The layout that an entry names: `index` for a prepared folder or its index.

    Example:
        >>> entry_layout("celebdf:/data/CDF"), entry_layout("own.csv"), entry_layout("outputs/faces/own")
        ('celebdf', 'manifest', 'index')
    """
    if isinstance(entry, Mapping):
        return str(entry.get("layout") or "index")
    text = str(entry)
    layout, _, folder = text.partition(":")
    return layout if folder and layout.isidentifier() else "manifest" if text.endswith(TABLES) else "index"


def entry_options(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the layout in an entry that is a mapping: those under `options`, and those next to it.

    Example:
        >>> entry_options({"layout": "dfd", "data_dir": "x", "compression": "c40", "options": {"split": "actors"}})
        {'split': 'actors', 'compression': 'c40'}
    """
    below = entry.get("options")
    beside = {key: value for key, value in entry.items() if key not in KEYS}
    return {**(below if isinstance(below, Mapping) else {}), **beside}


def entry_told(entry: Any) -> str:
    """An entry as text for messages.

    Example:
        >>> entry_told({"layout": "faceforensics", "data_dir": "FF", "compression": "c40"})
        'faceforensics: FF (compression c40)'
        >>> entry_told("celebdf:CDF")
        'celebdf:CDF'
    """
    if not isinstance(entry, Mapping):
        return str(entry)
    options = ", ".join(f"{key} {value}" for key, value in entry_options(entry).items())
    return f"{entry.get('layout') or 'index'}: {entry_place(entry)}{f' ({options})' if options else ''}"
