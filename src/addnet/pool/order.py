"""Sorts numbered results that arrive in any order."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")


def in_order(results: Generator[tuple[int, T]]) -> Generator[T]:
    """Yields results in the order of their numbers, holding back those that arrive early.

    Closing this generator closes `results`.

    Args:
        results: Pairs (number, result), numbered from 0 without gaps.

    Example:
        >>> list(in_order(pair for pair in [(1, "b"), (0, "a"), (2, "c")]))
        ['a', 'b', 'c']
    """
    early: dict[int, T] = {}
    following = 0
    with closing(results):
        for number, result in results:
            early[number] = result
            while following in early:
                yield early.pop(following)
                following += 1
