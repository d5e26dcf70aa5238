"""The order of an epoch: units of samples that stay together in a batch and on a rank. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from addnet.index.records import FAKE, REAL
from addnet.wording import count


class Request(NamedTuple):
    """The part of an address that an order decides; see the fields of `addnet.data.samplers.SampleAddress`."""

    record: int
    blend: str = ""
    like: int = -1


DrawnRequests = Iterator[tuple[Request, ...]]


class Order(Protocol):
    """The order of an epoch, in units that stay together.

    Attributes:
        unit: Samples per unit.
    """

    unit: int

    def __len__(self) -> int:
        """Number of units of an epoch."""

    def classes(self) -> tuple[int, int]:
        """Numbers of real and fake samples of an epoch."""

    def told(self) -> str:
        """A description of an epoch for the log; empty if each image occurs once, as it is."""

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Yields `length` units, at least an epoch of them: the first ones are that epoch.

        Args:
            random: Generator, seeded with seed and epoch.
            length: Number of units; those beyond an epoch fill up the last rank's share.
        """


class ShuffledOrder:
    """Every record once, in units of one.

    Args:
        labels: (N,) class of each record.
        balance: Draws both classes equally often, by repeating images of the smaller one.
    """

    unit = 1

    def __init__(self, labels: Sequence[int] | NDArray[np.int8], *, balance: bool = False) -> None:
        self.labels = np.asarray(labels)
        self.balance = balance

    def __len__(self) -> int:
        return len(self.labels)

    def classes(self) -> tuple[int, int]:
        """Numbers of real and fake samples of an epoch; with `balance`, about half each."""
        if self.balance:
            return len(self) - len(self) // 2, len(self) // 2
        return int((self.labels == REAL).sum()), int((self.labels == FAKE).sum())

    def told(self) -> str:
        """Empty: each image occurs once, as it is."""
        return ""

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Yields units of one sample."""
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
    """Every real image once per epoch, together with its self-blend.

    Args:
        labels: (N,) class of each record.
        faces: (N,) whether its landmarks are known; images without landmarks are left out.
    """

    unit = 2

    def __init__(self, labels: Sequence[int] | NDArray[np.int8], faces: Sequence[bool] | NDArray[np.bool_]) -> None:
        self.reals = np.flatnonzero((np.asarray(labels) == REAL) & np.asarray(faces, dtype=bool))

    def __len__(self) -> int:
        return len(self.reals)

    def classes(self) -> tuple[int, int]:
        """Numbers of real and fake samples of an epoch, which are equal."""
        return len(self), len(self)

    def told(self) -> str:
        """A description of an epoch for the log."""
        return f"fakes are blends of its {count(len(self), 'real image')}"

    def requests(self) -> list[Request]:
        """The samples of all pairs, in order."""
        return [Request(index, half) for index in self.reals.tolist() for half in ("real", "fake")]

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Yields pairs of a real image and its blend."""
        for index in cycled(self.reals, length, random).tolist():
            yield Request(index, "real"), Request(index, "fake")


def cycled(indices: NDArray[np.int64], length: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Concatenates permutations of `indices` up to `length`: none occurs again before all others have occurred."""
    rounds = -(-length // len(indices))
    return np.concatenate([random.permutation(indices) for _ in range(rounds)])[:length]
