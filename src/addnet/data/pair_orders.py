"""Epochs of pairs: a real image with a fake of its own source, given or made of it. No torch.

Both of a pair stand next to each other, so that they stay in one batch and on one rank. What has no partner comes in
twos of any kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.data.orders import DrawnRequests, Request, cycled
from addnet.index.records import FAKE, REAL, Records
from addnet.wording import count

_Numbers = NDArray[np.int64]
NO_PARTNER = -1


def source_sets(records: Records) -> _Numbers:
    """Which images are pairs: the number of each record's set, in which every real goes with every fake.

    A set is as fine as one can be that has both classes: the same frame of videos that begin alike up to their first
    `_` (`001` and `001_870`), such videos whatever the frame, the group.

    Returns:
        (N,) numbers; `NO_PARTNER` where nothing of the other class is in the group.
    """
    group = records.numbers("group_id")
    head = _heads(records)[records.numbers("video_id")]
    frame = records.table["frame"].to_numpy()
    sets, rest, used = np.full(len(records), NO_PARTNER, dtype=np.int64), np.arange(len(records)), 0
    for keys in ((group, head, frame), (group, head), (group,)):
        numbers = _numbered([key[rest] for key in keys])
        counts = np.zeros((int(numbers.max(initial=-1)) + 1, 2), dtype=np.int64)
        labels = records.labels[rest].astype(np.int64)
        np.add.at(counts, (numbers, labels), 1)
        both = (counts.min(axis=1) > 0)[numbers]
        sets[rest[both]] = used + numbers[both]
        used += len(counts)
        rest = rest[~both]
    return sets


def _numbered(keys: Sequence[_Numbers]) -> _Numbers:
    """(N,) a number for each combination of keys, from 0 without gaps."""
    numbers = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:  # one after the other, so that products stay small
        _, number = np.unique(key, return_inverse=True)
        _, numbers = np.unique(numbers * (int(number.max(initial=0)) + 1) + number, return_inverse=True)
    return numbers


def _heads(records: Records) -> _Numbers:
    """(videos,) a number for the name of each video up to its first `_`."""
    names = pa.array(records.names("video_id"), pa.string())
    heads = pc.replace_substring_regex(names, r"(?s)^(?:.*/)?([^/_]*)[^/]*$", r"\1")
    return np.asarray(heads.dictionary_encode().indices.to_numpy(zero_copy_only=False), dtype=np.int64)


class PairOrder:
    """Every fake once an epoch, beside a real image of its source.

    Where a set has more fakes than reals, as FaceForensics++ has four to one, its reals come repeatedly, each before
    one comes again; where it has more reals, those that are left come alone, others in each epoch. So does what has no
    partner. With an odd number of such images any other one comes along, again.

    Args:
        labels: (N,) class of each record.
        sets: (N,) of `source_sets`.
        same: Both of a pair change alike: the fake has the draws of its real.
    """

    unit = 2

    def __init__(self, labels: Sequence[int] | NDArray[np.int8], sets: _Numbers, *, same: bool = True) -> None:
        self.labels, self.sets, self.same = np.asarray(labels), sets, same
        self.reals, self.fakes = (_with(self.labels == kind, sets) for kind in (REAL, FAKE))
        self.alone = np.flatnonzero(sets == NO_PARTNER)
        reals, fakes = (np.bincount(sets[part], minlength=1) for part in (self.reals, self.fakes))
        length = max(len(reals), len(fakes))
        more = np.pad(reals, (0, length - len(reals))) - np.pad(fakes, (0, length - len(fakes)))
        self.repeated = int(-more[more < 0].sum())
        self._left = int(more[more > 0].sum())

    def __len__(self) -> int:
        return len(self.fakes) + -(-(self._left + len(self.alone)) // self.unit)

    def classes(self) -> tuple[int, int]:
        """Reals and fakes of an epoch."""
        alone = np.bincount(self.labels[self.alone], minlength=2)
        return len(self.fakes) + self._left + int(alone[REAL]), len(self.fakes) + int(alone[FAKE])

    def told(self) -> str:
        """What an epoch consists of."""
        parts = [f"{count(len(self.fakes), 'pair')} of a real and a fake image of one source"]
        if self.repeated:
            parts.append(f"real ones {count(self.repeated, 'time')} again")
        if alone := self._left + len(self.alone):
            parts.append(f"{count(alone, 'image')} without a partner")
        return ", ".join(parts)

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Units of two: pairs, and images without a partner."""
        fakes, reals = dealt(self.fakes, self.reals, self.sets, random)
        left = np.setdiff1d(self.reals, reals)
        twos = in_twos(np.concatenate([left, self.alone]), len(self.labels), random)
        first, second = np.concatenate([np.stack([reals, fakes]), twos], axis=1)
        for place in cycled(np.arange(len(first)), length, random).tolist():
            yield given_pair(int(first[place]), int(second[place]), same=self.same and place < len(fakes))


class MixedOrder:
    """Every real image once an epoch, beside a fake: for a share of them its self-blend, for the others a given one.

    Given fakes are drawn anew in each epoch, each before one comes again: where there are more of them than reals, they
    come over several epochs.

    Args:
        labels: (N,) class of each record.
        faces: (N,) whether its landmarks are known; what has none gets a given fake.
        share: Of blends among the fakes beside reals. Reals without a given fake of their source count in: they get
            their blend.
        sets: (N,) of `source_sets`: given fakes are of the same source as the real; None: of any.
        same: Both of a pair of one source change alike. A real and its blend always do.
    """

    unit = 2

    def __init__(
        self,
        labels: Sequence[int] | NDArray[np.int8],
        faces: Sequence[bool] | NDArray[np.bool_],
        *,
        share: float,
        sets: _Numbers | None = None,
        same: bool = True,
    ) -> None:
        self.labels, self.of_source, self.same = np.asarray(labels), sets is not None, same and sets is not None
        self.sets = np.zeros(len(self.labels), dtype=np.int64) if sets is None else sets
        real, blends, given = self.labels == REAL, np.asarray(faces, dtype=bool), self.sets != NO_PARTNER
        self.fakes = _with(~real, self.sets)
        self._must = np.flatnonzero(real & blends & ~given)  # be blended
        self._never = np.flatnonzero(real & ~blends & given)
        self._may = np.flatnonzero(real & blends & given)
        self.alone = np.flatnonzero(~given & ~(real & blends))
        pairs = len(self._must) + len(self._never) + len(self._may)
        self._chosen = int(np.clip(round(share * pairs) - len(self._must), 0, len(self._may)))
        self.blends = len(self._must) + self._chosen
        self.given = pairs - self.blends

    def __len__(self) -> int:
        return self.blends + self.given + -(-len(self.alone) // self.unit)

    def classes(self) -> tuple[int, int]:
        """Reals and fakes of an epoch."""
        alone = np.bincount(self.labels[self.alone], minlength=2)
        return self.blends + self.given + int(alone[REAL]), self.blends + self.given + int(alone[FAKE])

    def told(self) -> str:
        """What an epoch consists of."""
        of = " of its source" if self.of_source else ""
        told = f"{count(self.blends, 'blend')} and {count(self.given, 'given fake')}{of}, each beside a real image"
        parts = [told]
        if len(self.alone):
            parts.append(f"{count(len(self.alone), 'image')} without a partner")
        return ", ".join(parts)

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Units of two: a real and its blend or a given fake, and images without a partner."""
        may = random.permutation(self._may)
        blended = np.concatenate([self._must, may[: self._chosen]])
        beside = np.concatenate([self._never, may[self._chosen :]])
        if self.of_source:
            reals, fakes = dealt(beside, self.fakes, self.sets, random)
        else:
            reals, fakes = random.permutation(beside), cycled(self.fakes, len(beside), random)
        twos = in_twos(self.alone, len(self.labels), random)
        first, second = np.concatenate([np.stack([blended, blended]), np.stack([reals, fakes]), twos], axis=1)
        for place in cycled(np.arange(len(first)), length, random).tolist():
            real, other = int(first[place]), int(second[place])
            if place < len(blended):
                yield Request(real, "real"), Request(real, "fake")
            else:
                yield given_pair(real, other, same=self.same and place < len(blended) + len(reals))


def given_pair(real: int, fake: int, *, same: bool) -> tuple[Request, Request]:
    """Two images that lie on disk; with `same` the second one has the draws of the first."""
    return Request(real), Request(fake, like=real if same else -1)


def dealt(takers: _Numbers, given: _Numbers, sets: _Numbers, random: np.random.Generator) -> tuple[_Numbers, _Numbers]:
    """Gives each taker one of its set, in a random order, each one before any is given again.

    Args:
        takers: Records, each in a set that has something to give.
        given: Records that are given.
        sets: (N,) set of each record.
        random: Decides who gets what.

    Returns:
        Takers and what each of them got; sets one after the other.
    """
    takers, given = (
        shuffled[np.argsort(sets[shuffled], kind="stable")] for shuffled in map(random.permutation, (takers, given))
    )
    mine, theirs = sets[takers], sets[given]
    turn = np.arange(len(takers)) - np.searchsorted(mine, mine, side="left")
    first = np.searchsorted(theirs, mine, side="left")
    number = np.searchsorted(theirs, mine, side="right") - first
    return takers, given[first + turn % np.maximum(number, 1)]


def in_twos(alone: _Numbers, total: int, random: np.random.Generator) -> _Numbers:
    """(2, units) records in a random order, two a unit; an odd number is filled up with any other record."""
    order = random.permutation(alone)
    if len(order) % 2:
        filler = int(random.integers(total - 1))
        order = np.append(order, filler + (filler >= order[-1]))
    return order.reshape(-1, 2).T.astype(np.int64)


def _with(mine: NDArray[np.bool_], sets: _Numbers) -> _Numbers:
    """Records of a class that have a partner."""
    return np.flatnonzero(mine & (sets != NO_PARTNER))
