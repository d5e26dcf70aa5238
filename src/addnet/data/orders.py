"""What an epoch consists of: units of samples that stay together in a batch and on a rank. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from addnet.index.records import FAKE, REAL
from addnet.wording import count


class Request(NamedTuple):
    """What of an address (`addnet.data.samplers.Address`) an order decides; the same names."""

    record: int
    blend: str = ""
    like: int = -1


DrawnRequests = Iterator[tuple[Request, ...]]


class Order(Protocol):
    """The units of an epoch.

    Attributes:
        unit: Samples of each.
    """

    unit: int

    def __len__(self) -> int:
        """Units of an epoch."""

    def classes(self) -> tuple[int, int]:
        """Reals and fakes of an epoch."""

    def told(self) -> str:
        """What an epoch consists of, in words; empty where each image comes as it is."""

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """So many units, at least an epoch of them: the first ones are that epoch.

        Args:
            random: Seeded by seed and epoch.
            length: How many; those beyond an epoch fill up the last share.
        """


class ShuffledOrder:
    """Every record once, one by one.

    Args:
        labels: (N,) class of each record.
        balance: Draws both classes equally often, the smaller one repeatedly.
    """

    unit = 1

    def __init__(self, labels: Sequence[int] | NDArray[np.int8], *, balance: bool = False) -> None:
        self.labels = np.asarray(labels)
        self.balance = balance

    def __len__(self) -> int:
        return len(self.labels)

    def classes(self) -> tuple[int, int]:
        """Reals and fakes of an epoch; of a balanced one about half each."""
        if self.balance:
            return len(self) - len(self) // 2, len(self) // 2
        return int((self.labels == REAL).sum()), int((self.labels == FAKE).sum())

    def told(self) -> str:
        """Nothing."""
        return ""

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Units of one sample."""
        for index in self._order(random, length).tolist():
            yield (Request(index),)

    def _order(self, random: np.random.Generator, length: int) -> NDArray[np.int64]:
        if not self.balance:
            return cycled(np.arange(len(self.labels)), length, random)
        classes = np.unique(self.labels)
        per_class = -(-length // len(classes))
        parts = [cycled(np.flatnonzero(self.labels == label), per_class, random) for label in classes]
        return np.stack(parts, axis=1).reshape(-1)[:length]


class RealsAndBlends:
    """Every real image once an epoch, and its self-blend with it.

    Args:
        labels: (N,) class of each record.
        faces: (N,) whether its landmarks are known; what has none is left out.
    """

    unit = 2

    def __init__(self, labels: Sequence[int] | NDArray[np.int8], faces: Sequence[bool] | NDArray[np.bool_]) -> None:
        self.reals = np.flatnonzero((np.asarray(labels) == REAL) & np.asarray(faces, dtype=bool))

    def __len__(self) -> int:
        return len(self.reals)

    def classes(self) -> tuple[int, int]:
        """Reals and fakes of an epoch: as many."""
        return len(self), len(self)

    def told(self) -> str:
        """What an epoch consists of."""
        return f"fakes are blends of its {count(len(self), 'real image')}"

    def requests(self) -> list[Request]:
        """All pairs in order, one sample after the other."""
        return [Request(index, half) for index in self.reals.tolist() for half in ("real", "fake")]

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Pairs of a real image and its blend."""
        for index in cycled(self.reals, length, random).tolist():
            yield Request(index, "real"), Request(index, "fake")


def cycled(indices: NDArray[np.int64], length: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Permutations of `indices`, one after another, cut at `length`: no record waits while another repeats."""
    rounds = -(-length // len(indices))
    return np.concatenate([random.permutation(indices) for _ in range(rounds)])[:length]
