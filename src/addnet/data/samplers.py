"""Which sample comes when, as addresses: a function of seed and epoch, shared out over ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from addnet.data.orders import Order, Request


class SampleAddress(NamedTuple):
    """One request for a sample.

    Attributes:
        record: Number of the record.
        epoch: In which epoch; with `record` and `repeat` it decides what is drawn.
        repeat: How often the record was asked for before in this epoch.
        valid: False where it only evens out the ranks; such rows count in no metric.
        blend: `real` or `fake`: that half of its self-blend; empty: the image itself.
        like: Number of the record whose draws it has, so that both change alike; -1: its own.
    """

    record: int
    epoch: int = 0
    repeat: int = 0
    valid: bool = True
    blend: str = ""
    like: int = -1


class TrainSampler(Sampler[SampleAddress]):
    """A new seeded order each epoch, every rank its share of one common order.

    Args:
        order: What an epoch consists of.
        seed: With the epoch it decides the order.
        rank: This process.
        world_size: Number of processes; the last share is filled up with repeats.
        start: Epoch and number of samples of this share with which to begin: where an interrupted run stopped.
    """

    def __init__(
        self,
        order: Order,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        self.order = order
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.start = start
        self.epoch = start[0]  # workers fetch ahead before the Trainer names the epoch

    def __len__(self) -> int:
        return self._share * self.order.unit

    @property
    def _share(self) -> int:
        """Units of each rank."""
        return -(-len(self.order) // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[SampleAddress]:
        units = self.order.draw(np.random.default_rng((self.seed, self.epoch)), self._share * self.world_size)
        done = self.start[1] // self.order.unit * self.world_size if self.epoch == self.start[0] else 0
        seen: dict[int, int] = {}
        for position, unit in enumerate(units):
            repeats = {record: seen.get(record, 0) for record, _, _ in unit}
            seen |= {record: repeat + 1 for record, repeat in repeats.items()}
            if position >= done and position % self.world_size == self.rank:
                for record, blend, like in unit:
                    yield SampleAddress(record, self.epoch, repeats.get(like, repeats[record]), blend=blend, like=like)


class EvalSampler(Sampler[SampleAddress]):
    """Every request once, in order, in equal shares; the rows that even out the shares are marked invalid.

    Args:
        requests: What is asked for; a number: so many records.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(self, requests: Sequence[Request] | int, *, rank: int = 0, world_size: int = 1) -> None:
        self.requests = requests
        self.length = requests if isinstance(requests, int) else len(requests)
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return -(-self.length // self.world_size)

    def __iter__(self) -> Iterator[SampleAddress]:
        for position in range(self.rank, len(self) * self.world_size, self.world_size):
            valid, place = position < self.length, min(position, self.length - 1)
            if isinstance(self.requests, int):
                yield SampleAddress(place, valid=valid)
            else:
                record, blend, like = self.requests[place]
                yield SampleAddress(record, valid=valid, blend=blend, like=like)
