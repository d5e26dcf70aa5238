"""Samplers that yield addresses: the order is a function of seed and epoch, divided between ranks."""

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
        epoch: Number of the epoch; with `record` and `repeat` it decides the random draws.
        repeat: How often the record was requested before in this epoch.
        valid: False for a row that only pads the shares of the ranks; no metric counts it.
        blend: `real` or `fake`: this half of its self-blend; empty: the image itself.
        like: Number of the record whose draws it shares, so that both get the same augmentation; -1: its own draws.
    """

    record: int
    epoch: int = 0
    repeat: int = 0
    valid: bool = True
    blend: str = ""
    like: int = -1


class TrainSampler(Sampler[SampleAddress]):
    """A new seeded order in each epoch, of which every rank yields its share.

    Args:
        order: The units of an epoch.
        seed: Decides the order, together with the epoch.
        rank: Rank of this process.
        world_size: Number of processes; the last share is filled up with repeats.
        start: Where an interrupted run stopped: the epoch, and the number of samples of this share to skip in it.
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
        self.epoch = start[0]  # workers prefetch before the Trainer calls `set_epoch`

    def __len__(self) -> int:
        return self._share * self.order.unit

    @property
    def _share(self) -> int:
        """Number of units of each rank."""
        return -(-len(self.order) // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch; the Trainer calls this before each one."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[SampleAddress]:
        units = self.order.draw(np.random.default_rng((self.seed, self.epoch)), self._share * self.world_size)
        done = self.start[1] // self.order.unit * self.world_size if self.epoch == self.start[0] else 0
        occurrences: dict[int, int] = {}  # of each record so far, on all ranks
        for position, unit in enumerate(units):
            repeats = {record: occurrences.get(record, 0) for record, _, _ in unit}
            occurrences |= {record: repeat + 1 for record, repeat in repeats.items()}
            if position >= done and position % self.world_size == self.rank:
                for record, blend, like in unit:
                    yield SampleAddress(record, self.epoch, repeats.get(like, repeats[record]), blend=blend, like=like)


class EvalSampler(Sampler[SampleAddress]):
    """Every request once, in order, in equal shares; the rows that pad the shares are marked invalid.

    Args:
        requests: The requested samples; a number N: the first N records as they are.
        rank: Rank of this process.
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
