"""Memory that loader processes share with the one they serve, used again for batch after batch.

New shared memory has to be mapped page by page, in the process that writes it and in the one that reads it. For a batch
of 299 × 299 pictures that takes as long as making a third of them.
"""

from __future__ import annotations

import itertools
import os
import weakref
from dataclasses import dataclass, field
from multiprocessing import active_children
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

_MOST = 16  # blocks that a process keeps: more than any loader has under way


class SharedBlocks:
    """Blocks of bytes for the batches of one loader.

    Made before its processes start, and kept as long as they run. A block is used again once no tensor in the process
    that received it has its memory any more; while none is free, memory is new.
    """

    _numbers = itertools.count()
    _made: ClassVar[weakref.WeakValueDictionary[int, SharedBlocks]] = weakref.WeakValueDictionary()

    def __init__(self) -> None:
        self._number = next(self._numbers)
        self._own: _Shelf | None = None  # in a loader process
        self._shelves: dict[int, _Shelf] = {}  # in the one they serve, by process
        self._made[self._number] = self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_shelves": {}}  # a process that is spawned begins with none

    def lend(self, length: int) -> tuple[Tensor, Any]:
        """So many bytes to write to, and what is to be sent in their place: it arrives as these bytes."""
        if get_worker_info() is None:
            block = torch.empty(length, dtype=torch.uint8)
            return block, block
        shelf = self._own = self._own or _Shelf()
        place = shelf.free()
        if place is None:
            block = _shared(length)
            return block, block
        lent = None if shelf.blocks else shelf.lent
        new = place not in shelf.blocks or len(shelf.blocks[place]) < length
        if new:
            shelf.blocks[place] = _shared(length)
        block = shelf.blocks[place]
        shelf.lent[place] = 1
        return block[:length], _Loan(self._number, os.getpid(), place, length, block if new else None, lent)


def _shared(length: int) -> Tensor:
    """Zeros that can be handed over without copying them; torch's own collation makes the same."""
    storage = torch.UntypedStorage._new_shared(length, device="cpu")  # type: ignore[no-untyped-call]
    return torch.empty(0, dtype=torch.uint8).set_(storage)


@dataclass
class _Shelf:
    """The blocks of one loader process.

    Attributes:
        lent: (16,) uint8, shared; set by the process that writes a block, cleared by the one that received it.
        blocks: By their places.
    """

    lent: Tensor = field(default_factory=lambda: _shared(_MOST))
    blocks: dict[int, Tensor] = field(default_factory=dict)

    def free(self) -> int | None:
        """The first place whose block nobody has."""
        return next((place for place, lent in enumerate(self.lent.tolist()) if not lent), None)


@dataclass(frozen=True)
class _Loan:
    """A block under way; the first time, the memory itself travels along."""

    number: int
    process: int
    place: int
    length: int
    block: Tensor | None
    lent: Tensor | None

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, (self.number, self.process, self.place, self.length, self.block, self.lent)


def _receive(number: int, process: int, place: int, length: int, block: Tensor | None, lent: Tensor | None) -> Tensor:
    """The bytes of a loan. When the last tensor that has them is gone, the block is free."""
    shelves = SharedBlocks._made[number]._shelves
    if lent is not None:  # the first of a new process
        at_work = {child.pid for child in active_children()}
        for ended in set(shelves) - at_work:
            del shelves[ended]
        shelves[process] = _Shelf(lent)
    shelf = shelves[process]
    if block is not None:
        shelf.blocks[place] = block
    view = shelf.blocks[place].numpy()[:length]
    weakref.finalize(view, _give_back, shelf.lent.numpy(), place, os.getpid()).atexit = False
    return torch.from_numpy(view)


def _give_back(lent: NDArray[np.uint8], place: int, process: int) -> None:
    if os.getpid() == process:  # a process that is forked meanwhile has the tensor too, and no say
        lent[place] = 0
