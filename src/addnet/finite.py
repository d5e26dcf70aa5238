"""The check for scores that aren't finite: no metric, threshold or verdict is computed from such scores.

Sorting puts NaN at one end, so that a network whose outputs are all NaN would get an AUROC of 1 or 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError

_MOST_NAMED = 5
_REMEDY = (
    "The weights are damaged, for example by a learning rate that is too high (use an earlier checkpoint), or values "
    "overflow (use precision 32-true). If only some images are affected, check these."
)


def require_finite(scores: NDArray[np.floating], paths: Sequence[str] | None = None, *, of: str = "") -> None:
    """Raises an error if a score isn't finite.

    Args:
        scores: (N,) scores of any kind.
        paths: N names of the scored images, or None if unknown.
        of: What was scored, such as the name of a data set.

    Raises:
        UserError: Scores aren't finite; the message has their number and the first names.

    Example:
        >>> require_finite(np.array([0.5, 0.1]))
        >>> require_finite(np.array([0.5, np.nan]), ["a.png", "b.png"], of="test")
        Traceback (most recent call last):
        addnet.finite.NotFiniteError: 1 of 2 scores of test isn't finite (NaN or infinite), so nothing is measured:
          b.png
        The weights are damaged, ...
    """
    broken = np.flatnonzero(~np.isfinite(scores))
    if len(broken):
        named = [] if paths is None else [paths[row] for row in broken[:_MOST_NAMED].tolist()]
        raise NotFiniteError(len(broken), len(scores), named, of=of)


class NotFiniteError(UserError):
    """Some scores aren't finite.

    Args:
        broken: Number of scores that aren't finite.
        total: Number of scores.
        named: Names of some images with such scores.
        of: What was scored, such as the name of a data set.
    """

    def __init__(self, broken: int, total: int, named: Sequence[str], *, of: str = "") -> None:
        are, of = "isn't" if broken == 1 else "aren't", f" of {of}" if of else ""
        what = f"{broken} of {total} scores{of} {are} finite (NaN or infinite), so nothing is measured"
        lines = [f"  {name}" for name in named[:_MOST_NAMED]]
        if lines and broken > len(lines):
            lines.append(f"  and {broken - len(lines)} more")
        super().__init__("\n".join([what + (":" if lines else "."), *lines, _REMEDY]))
