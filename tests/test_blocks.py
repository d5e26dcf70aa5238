"""Memory of batches is used again, and never while somebody has it."""

import gc

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from addnet.data.blocks import SharedBlocks
from addnet.data.transfer import as_packed

BATCHES = 60


class Numbered(Dataset):
    """Batches of bytes that say which batch they are; their lengths differ."""

    def __init__(self):
        self.blocks = SharedBlocks()

    def __len__(self):
        return BATCHES

    def __getitems__(self, numbers):
        (number,) = numbers
        written, sent = self.blocks.lend(_length(number))
        written.fill_(number)
        return {"number": number, "block": sent}


def _length(number):
    return 1000 + 700 * (number % 5)


def _loader(**arguments):
    return DataLoader(Numbered(), collate_fn=as_packed, **({"num_workers": 2, "persistent_workers": True} | arguments))


def _is_whole(batch):
    return batch["block"].tolist() == [batch["number"]] * _length(batch["number"])


@pytest.mark.parametrize("workers", [0, 2])
def test_what_arrives_is_what_was_written(workers):
    loader = _loader(num_workers=workers, persistent_workers=workers > 0)
    for _ in range(2):
        seen = [batch["number"] for batch in loader if _is_whole(batch)]
        assert seen == list(range(BATCHES))


def test_memory_is_used_again():
    loader = _loader()
    places = {batch["block"].data_ptr() for _ in range(3) for batch in loader}
    assert len(places) < 25  # of 180 batches; some blocks are replaced by longer ones


def test_what_is_kept_stays_as_it_is():
    loader = _loader()
    kept = [batch for batch in loader if batch["number"] % 4]  # more than a process keeps blocks
    some = {batch["number"]: batch["block"].view(-1, 100)[3:5] for batch in loader if batch["number"] % 9 == 0}
    for _ in loader:
        pass
    assert all(map(_is_whole, kept))
    assert all((rows == number).all() for number, rows in some.items())
    loader._iterator._shutdown_workers()
    assert all(map(_is_whole, kept))
    del loader
    gc.collect()
    assert all(map(_is_whole, kept))


def test_blocks_of_processes_that_ended_are_forgotten():
    loader = _loader(persistent_workers=False)
    for _ in range(3):
        first = next(iter(loader))  # and the rest is thrown away
        assert all(map(_is_whole, loader))
        assert _is_whole(first)
    assert len(loader.dataset.blocks._shelves) <= 2


def test_two_iterators_of_one_loader():
    loader = _loader(persistent_workers=False)
    for one, other in zip(loader, loader, strict=True):
        assert _is_whole(one)
        assert _is_whole(other)


def test_a_fork_gives_nothing_back():
    """A process that is forked while a block is lent, and lets go of its copy, must not free it."""
    loader = _loader(num_workers=1)
    batch = next(batch for batch in loader if batch["number"] == 4)  # of the longest, else its block is replaced
    process = torch.multiprocessing.get_context("fork").Process(target=batch.clear)
    process.start()
    process.join()
    assert process.exitcode == 0
    for _ in loader:
        pass
    assert _is_whole(batch)


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_processes_that_start_anew(start):
    loader = _loader(num_workers=1, multiprocessing_context=start)
    for _ in range(2):
        assert all(map(_is_whole, loader))
