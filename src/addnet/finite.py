"""The one check for scores that aren't finite numbers: no metric, threshold or verdict is made of them.

Sorting puts nan at one end or the other, so that a network that answers nothing else gets an AUROC of 1 or 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError

_MOST_NAMED = 5
_REMEDY = (
    "The network is damaged, for example by a learning rate that is too high (use an earlier checkpoint), or its "
    "numbers overflow (use precision 32-true). If only some images are listed, look at them."
)


def require_finite(scores: NDArray[np.floating], paths: Sequence[str] | None = None, *, of: str = "") -> None:
    """Refuses scores of which one or more isn't a finite number.

    Args:
        scores: (N,) of any meaning.
        paths: N names of what was scored, or None if they aren't known.
        of: What the scores are of, such as the name of a data set.

    Raises:
        UserError: The text says how many, and names the first of them.

    Example:
        >>> require_finite(np.array([0.5, 0.1]))
        >>> require_finite(np.array([0.5, np.nan]), ["a.png", "b.png"], of="test")
        Traceback (most recent call last):
        addnet.finite.NotFiniteError: 1 of 2 scores of test isn't a finite number, and nothing is measured with it:
          b.png
        The network is damaged, ...
    """
    broken = np.flatnonzero(~np.isfinite(scores))
    if len(broken):
        named = [] if paths is None else [paths[row] for row in broken[:_MOST_NAMED].tolist()]
        raise NotFiniteError(len(broken), len(scores), named, of=of)


class NotFiniteError(UserError):
    """Scores aren't finite numbers.

    Args:
        broken: How many of them.
        total: Of how many.
        named: Some of what was scored so.
        of: What the scores are of.
    """

    def __init__(self, broken: int, total: int, named: Sequence[str], *, of: str = "") -> None:
        are, them = ("isn't a finite number", "it") if broken == 1 else ("aren't finite numbers", "them")
        what = f"{broken} of {total} scores{f' of {of}' if of else ''} {are}, and nothing is measured with {them}"
        lines = [f"  {name}" for name in named[:_MOST_NAMED]]
        if lines and broken > len(lines):
            lines.append(f"  and {broken - len(lines)} more")
        super().__init__("\n".join([what + (":" if lines else "."), *lines, _REMEDY]))
