"""Options of layouts: which there are, and what a mistyped one may have meant."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from addnet.data.layouts.listing import Listing
from addnet.errors import UserError, suggestion

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
        options: The layout's own; `group_pattern` and `video_pattern`, which not all have, may be None.

    Raises:
        UserError: An option that the layout doesn't have, or what the layout raises.
    """
    known = options_of(layouts[name])
    given = {key: value for key, value in options.items() if key in known or value is not None}
    for key in given:
        if key not in known:
            has = f"it has: {', '.join(known)}" if known else "it has none"
            raise UserError(f"{key!r} is no option of data.layout={name}; {has}.{suggestion(key, known)}")
    return layouts[name](Path(root), **given)


def typed(option: str, key: str, value: str) -> str:
    """An option that is a mapping with one entry, as it is typed in a shell.

    Example:
        >>> print(typed("columns", "path", "my file"))
        'data.options.columns={path: "my file"}'
    """
    quoted = re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + ("\\" + match[2] if match[2] else ""), value)
    return shlex.quote(f'data.options.{option}={{{key}: "{quoted}"}}')
