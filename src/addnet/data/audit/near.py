"""Near-identical images: all pairs of 64-bit hashes within a small distance, without comparing all with all.

Multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012): if two hashes differ in at most t of their 64 bits, then
by the pigeonhole principle at least one of their four quarters differs in at most t // 4 bits. Only hashes that
share such a quarter are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError

MAX_DISTANCE = 7
_QUARTERS, _BITS = 4, 16
_BLOCK = 2_000_000  # comparisons at once: 100 MB

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class NearPairs:
    """Pairs of hashes that are near each other and occur in different groups.

    Each pair of hashes is listed once, by one image of each: all pairs of equal images would be too many.

    Attributes:
        left: (P,) positions in the first set, nearest pairs first.
        right: (P,) positions in the second set, each of another group than its partner.
        distances: (P,) differing bits.
        images: How many images of the first and of the second set have these hashes.
        complete: False if a crowd of similar hashes was left out, or if there were more pairs than are kept.
    """

    left: Rows
    right: Rows
    distances: NDArray[np.uint8]
    images: tuple[int, int]
    complete: bool


def near_pairs(
    left: Hashes,
    right: Hashes,
    distance: int,
    *,
    left_groups: Rows,
    right_groups: Rows,
    within: bool = False,
    max_comparisons: int = 1_000_000_000,
    max_pairs: int = 2_000_000,
) -> NearPairs:
    """Finds the pairs across two sets that belong to different groups.

    Args:
        left: (N,) hashes.
        right: (M,) hashes.
        distance: Most bits that may differ, 0 to 7.
        left_groups: (N,) group of each.
        right_groups: (M,) group of each.
        within: Whether both sets are the same one; each pair is then returned once.
        max_comparisons: Beyond this the most crowded quarters are left out, so that thousands of almost equal images
            don't take forever.
        max_pairs: Keep at most about this many pairs.

    Raises:
        UserError: The distance is out of range: beyond 7 bits, different people are as near as copies.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise UserError(f"audit.distance={distance} must lie between 0 and {MAX_DISTANCE} (of 64 bits); 4 is usual")
    a, b = _DistinctHashes(left, left_groups), _DistinctHashes(right, right_groups)
    lookups, complete = _affordable(a, b, _lookups(distance), max_comparisons)
    found = [np.empty(0, dtype=np.int64)]
    for block in _matches(a, b, lookups, distance):
        found.append(block)
        if sum(map(len, found)) > max_pairs:
            complete = False
            break
    codes = np.unique(np.concatenate(found))  # see `_matches` for the code of a pair
    i, j = np.divmod(codes, max(1, len(b)))
    if within:
        i, j = i[i <= j], j[i <= j]
    distances = np.bitwise_count(a.hashes[i] ^ b.hashes[j])
    order = np.argsort(distances, kind="stable")
    rows = _example_rows(a, b, i[order], j[order])
    return NearPairs(*rows, distances[order], (a.images(i), b.images(j)), complete)


def nearest(left: Hashes, right: Hashes, *, left_groups: Rows, right_groups: Rows) -> NDArray[np.uint8]:
    """(N,) distance of each hash in `left` to the nearest one of another group in `right`, by comparing all."""
    distances = np.full(len(left), 64, dtype=np.uint8)
    step = max(1, _BLOCK // max(1, len(right)))
    for start in range(0, len(left) if len(right) else 0, step):
        part = slice(start, start + step)
        bits = np.bitwise_count(left[part, None] ^ right[None])  # (part, M)
        bits[left_groups[part, None] == right_groups[None]] = 64
        distances[part] = bits.min(axis=1)
    return distances


_MANY = -1


class _DistinctHashes:
    """The distinct hashes of a set, their groups, and where to find the hashes with a given quarter."""

    def __init__(self, hashes: Hashes, groups: Rows) -> None:
        # equal hashes form runs, sorted by group; `starts` and `counts` are (D,), one for each distinct hash
        order = np.lexsort((groups, hashes))
        values = hashes[order]
        starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else order
        self.counts = np.diff(np.append(starts, len(order)))
        self.hashes = values[starts]
        self.first: Rows = order[starts]
        self.last: Rows = order[starts + self.counts - 1]  # in another group than `first`, if there is one
        self.first_groups = groups[self.first]
        self.groups = np.where(self.first_groups == groups[self.last], self.first_groups, _MANY)
        # for each quarter q: hashes with value v are orders[q][starts[q][v] :][: sizes[q][v]]
        quarters = np.ascontiguousarray(self.hashes).view(np.uint16).reshape(-1, _QUARTERS)
        self.orders = [np.argsort(quarters[:, q], kind="stable") for q in range(_QUARTERS)]
        self.sizes = [np.bincount(quarters[:, q], minlength=1 << _BITS) for q in range(_QUARTERS)]
        self.starts = [np.cumsum(sizes) - sizes for sizes in self.sizes]

    def __len__(self) -> int:
        return len(self.hashes)

    def images(self, positions: Rows) -> int:
        return int(self.counts[np.unique(positions)].sum())


def _lookups(distance: int) -> list[tuple[int, int]]:
    """(quarter, bits to flip): in every pair within the distance, some quarter differs by one of these."""
    radius, rest = divmod(distance, _QUARTERS)
    found = []
    for quarter in range(_QUARTERS):
        reach = radius if quarter <= rest else radius - 1
        for bits in range(reach + 1):
            found += [(quarter, sum(1 << bit for bit in flips)) for flips in combinations(range(_BITS), bits)]
    return found


def _affordable(
    a: _DistinctHashes, b: _DistinctHashes, lookups: list[tuple[int, int]], limit: int
) -> tuple[list[tuple[int, int, Rows]], bool]:
    """Each lookup with the quarters' values that both sides have, without the most crowded beyond the limit."""
    values = np.arange(1 << _BITS)
    # costs: for each lookup (65536,) comparisons by value of the quarter; the cheapest are kept up to the limit
    costs = [a.sizes[q] * b.sizes[q][values ^ flip] for q, flip in lookups]
    largest = np.sort(np.concatenate([cost[cost > 0] for cost in costs]))
    affordable = int(np.searchsorted(np.cumsum(largest), limit, side="right"))
    complete = affordable == len(largest)
    most = np.inf if complete else largest[affordable] - 1
    kept = [(q, flip, np.flatnonzero((c > 0) & (c <= most))) for (q, flip), c in zip(lookups, costs, strict=True)]
    return kept, complete


def _matches(
    a: _DistinctHashes, b: _DistinctHashes, lookups: list[tuple[int, int, Rows]], distance: int
) -> Iterator[Rows]:
    """Codes (position in a · length of b + position in b) of the pairs near enough, some more than once."""
    for quarter, flip, values in lookups:
        # rows: hashes of a whose quarter is among the values; each meets the hashes of b with the flipped quarter
        rows = a.orders[quarter][_ranges(a.starts[quarter][values], a.sizes[quarter][values])]
        partners = np.repeat(values ^ flip, a.sizes[quarter][values])
        lows, widths = b.starts[quarter][partners], b.sizes[quarter][partners]
        for part in _blocks(widths):
            left = np.repeat(rows[part], widths[part])
            right = b.orders[quarter][_ranges(lows[part], widths[part])]
            near = np.flatnonzero(np.bitwise_count(a.hashes[left] ^ b.hashes[right]) <= distance)
            left, right = left[near], right[near]
            unlike = (a.groups[left] != b.groups[right]) | (a.groups[left] == _MANY)
            yield left[unlike] * len(b) + right[unlike]


def _blocks(costs: Rows) -> Iterator[slice]:
    """Runs of rows whose comparisons fit a block; a row with more gets a block of its own."""
    ends = np.cumsum(costs)
    start = 0
    while start < len(costs):
        spent = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, spent + _BLOCK, side="right")))
        yield slice(start, stop)
        start = stop


def _example_rows(a: _DistinctHashes, b: _DistinctHashes, i: Rows, j: Rows) -> tuple[Rows, Rows]:
    """An image of each hash, the two of different groups."""
    same = a.first_groups[i] == b.first_groups[j]
    from_left = same & (a.groups[i] == _MANY)
    from_right = same & ~from_left
    return np.where(from_left, a.last[i], a.first[i]), np.where(from_right, b.last[j], b.first[j])


def _ranges(starts: Rows, lengths: Rows) -> Rows:
    """start, start + 1, … for each start, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - lengths, lengths) + np.repeat(starts, lengths)
