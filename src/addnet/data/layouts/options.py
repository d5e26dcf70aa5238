"""Options of layouts: which exist, and what a mistyped one may have meant."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from addnet.data.layouts.listing import Listing
from addnet.errors import UserError, suggestion
from addnet.index.records import Records
from addnet.untrusted.places import SUSPICIOUS, below

Layout = Callable[..., Listing]


def options_of(layout: Layout) -> dict[str, Any]:
    """The options that a layout has, with their defaults."""
    parameters = inspect.signature(layout).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def list_data(layouts: Mapping[str, Layout], name: str, root: str | Path, *, options: Mapping[str, Any]) -> Listing:
    """Lists a data folder.

    Args:
        layouts: All layouts by name.
        name: The one to use, which must be among them.
        root: The data folder.
        options: The layout's options; `group_pattern` and `video_pattern`, which not all layouts have, may be None.

    Raises:
        UserError: An option that the layout doesn't have, a path that leads out of the folder, or any error of the
            layout.
    """
    known = options_of(layouts[name])
    require_options(known, name, options)
    given = {key: value for key, value in options.items() if key in known}
    listing = layouts[name](Path(root), **given)
    if not given.get("outside"):
        for records in (listing.images, listing.videos):
            _require_below(records, Path(root))
    return listing


def require_options(known: Iterable[str], layout: str, options: Mapping[str, Any]) -> None:
    """Refuses options that a layout doesn't have.

    Args:
        known: The options that it has.
        layout: Name of the layout.
        options: The options given; None counts as not given.

    Raises:
        UserError: An option is unknown; the message lists those of the layout.
    """
    names = list(known)
    for key in (key for key, value in options.items() if key not in names and value is not None):
        has = f"it has: {', '.join(names)}" if names else "it has none"
        raise UserError(f"{key!r} is not an option of data.layout={layout}; {has}.{suggestion(key, names)}")


def _require_below(records: Records, root: Path) -> None:
    """Checks that no path leads out of the data folder, whatever the lists that came with the data say.

    Raises:
        UserError: A path leads out of it.
    """
    for column in ("path", "landmarks"):
        paths = records.table[column]
        odd = np.flatnonzero(np.asarray(pc.match_substring_regex(paths, SUSPICIOUS)))
        for row in odd.tolist():
            record = records[row]
            folder = record.root or (root.parent if root.is_file() else root)
            below(folder, getattr(record, column), remedy="get the list that names it from the source of the data")


def typed(option: str, key: str, value: str) -> str:
    """An option that is a mapping with one entry, as it is typed in a shell.

    Example:
        >>> print(typed("columns", "path", "my file"))
        'data.options.columns={path: "my file"}'
    """
    quoted = re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + ("\\" + match[2] if match[2] else ""), value)
    return shlex.quote(f'data.options.{option}={{{key}: "{quoted}"}}')
