"""Which sample comes when, as addresses: a function of seed and epoch, shared out over ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class Address(NamedTuple):
    """One request for a sample.

    Attributes:
        record: Number of the record.
        epoch: In which epoch; with `record` and `repeat` it decides the augmentation.
        repeat: How often the record was asked for before in this epoch.
        valid: False where it only evens out the ranks; such rows count in no figure.
    """

    record: int
    epoch: int = 0
    repeat: int = 0
    valid: bool = True


class TrainSampler(Sampler[Address]):
    """A new seeded order each epoch, every rank its share of one common order.

    Args:
        labels: (N,) class of each record.
        seed: With the epoch it decides the order.
        balance: Draws both classes equally often, the smaller one repeatedly.
        rank: This process.
        world_size: Number of processes; the last share is filled up with repeats.
        start: Epoch and number of samples of this share with which to begin: where an interrupted run stopped.
    """

    def __init__(
        self,
        labels: Sequence[int] | NDArray[np.int8],
        *,
        seed: int,
        balance: bool = False,
        rank: int = 0,
        world_size: int = 1,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        self.labels = np.asarray(labels)
        self.seed = seed
        self.balance = balance
        self.rank = rank
        self.world_size = world_size
        self.start = start
        self.epoch = start[0]  # workers fetch ahead before the Trainer names the epoch

    def __len__(self) -> int:
        return -(-len(self.labels) // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Address]:
        order = self._order(len(self) * self.world_size)
        done = self.start[1] * self.world_size if self.epoch == self.start[0] else 0
        seen: dict[int, int] = {}
        for position, index in enumerate(order.tolist()):
            repeat = seen.get(index, 0)
            seen[index] = repeat + 1
            if position >= done and position % self.world_size == self.rank:
                yield Address(index, self.epoch, repeat)

    def _order(self, length: int) -> NDArray[np.int64]:
        random = np.random.default_rng((self.seed, self.epoch))
        if not self.balance:
            return _cycled(np.arange(len(self.labels)), length, random)
        classes = np.unique(self.labels)
        per_class = -(-length // len(classes))
        parts = [_cycled(np.flatnonzero(self.labels == label), per_class, random) for label in classes]
        return np.stack(parts, axis=1).reshape(-1)[:length]


def _cycled(indices: NDArray[np.int64], length: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Permutations of `indices`, one after another, cut at `length`: no record waits while another repeats."""
    rounds = -(-length // len(indices))
    return np.concatenate([random.permutation(indices) for _ in range(rounds)])[:length]


class EvalSampler(Sampler[Address]):
    """Every record once, in order, in equal shares; the rows that even out the shares are marked invalid."""

    def __init__(self, length: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.length = length
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return -(-self.length // self.world_size)

    def __iter__(self) -> Iterator[Address]:
        for position in range(self.rank, len(self) * self.world_size, self.world_size):
            valid = position < self.length
            yield Address(position if valid else self.length - 1, valid=valid)
