"""Where it is measured: the CPU, or a GPU, which works on while Python goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from measure import Work


def device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wait() -> None:
    """Until the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def done(work: Callable[[], object]) -> Work:
    """Work that ends when the GPU has done it."""

    def waited() -> None:
        work()
        wait()

    return waited


def all_done(contenders: Mapping[str, Callable[[], object]]) -> dict[str, Work]:
    """`done` of each."""
    return {name: done(work) for name, work in contenders.items()}
