"""A share of pictures with its interval, where there is nothing to resample: few errors, or none."""

from __future__ import annotations

import math

_Z = 1.959963984540054  # of a two-sided 95 % interval


def wilson(hits: float, total: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which has a width also where no error was seen.

    Args:
        hits: How many of `total`; fractions where rows count for less than one.
        total: At least 1.

    Returns:
        Lower and upper end, in [0, 1].

    Example:
        >>> [round(end, 4) for end in wilson(0, 100)]
        [0.0, 0.037]
    """
    share, spread = hits / total, _Z**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)
