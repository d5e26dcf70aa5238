"""Contenders timed in turns in one process, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

Work = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Seconds of one call, a metric a round.

    Attributes:
        rounds: In the order they were taken.
    """

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds of a call in the middle round."""
        return median(self.rounds)

    def over(self, other: Times) -> Ratio:
        """How often the other's time this is, round by round."""
        return Ratio.of([mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True)])


@dataclass(frozen=True)
class Ratio:
    """A ratio in the middle round, and where the middle half of all rounds lies.

    Attributes:
        value: The median.
        low: First quartile.
        high: Third quartile.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: list[float]) -> Ratio:
        """The ratio of several rounds."""
        low, middle, high = quantiles(rounds, n=4) if len(rounds) > 1 else rounds * 3
        return cls(middle, low, high)


def race(contenders: Mapping[str, Work], *, rounds: int = 7, seconds: float = 0.2) -> dict[str, Times]:
    """Times contenders in turns: each round calls each of them for a while.

    Args:
        contenders: What is timed, by name; called once beforehand to warm up.
        rounds: How many turns each gets.
        seconds: How long a turn lasts at least; long work gets one call a turn.
    """
    calls = {}
    for name, work in contenders.items():
        work()
        calls[name] = max(1, round(seconds / max(_timed(work, 1), 1e-7)))
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            taken[name].append(_timed(work, calls[name]) / calls[name])
    return {name: Times(tuple(times)) for name, times in taken.items()}


def _timed(work: Work, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - start
