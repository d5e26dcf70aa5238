"""Epochs of pairs: a real image with a fake of the same source, either given or blended. No torch.

The two images of a pair are next to each other, so that they stay in one batch and on one rank. Images without a
partner are put together in arbitrary twos.
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
    """Returns the number of each record's set; any real image of a set can be paired with any fake of the same set.

    A set is the smallest of these that has both classes: the same frame of videos whose names are equal up to their
    first `_` (`001` and `001_870`); all frames of such videos; the group.

    Returns:
        (N,) numbers of the sets; `NO_PARTNER` if the group has only one class.
    """
    group = records.numbers("group_id")
    head = _heads(records)[records.numbers("video_id")]
    frame = records.table["frame"].to_numpy()
    # rest: records that are in no set yet; used: numbers of sets given out so far
    sets, rest, used = np.full(len(records), NO_PARTNER, dtype=np.int64), np.arange(len(records)), 0
    for keys in ((group, head, frame), (group, head), (group,)):
        numbers = _numbered([key[rest] for key in keys])
        # (candidate sets, 2) reals and fakes of each
        counts = np.zeros((int(numbers.max(initial=-1)) + 1, 2), dtype=np.int64)
        labels = records.labels[rest].astype(np.int64)
        np.add.at(counts, (numbers, labels), 1)
        both = (counts.min(axis=1) > 0)[numbers]
        sets[rest[both]] = used + numbers[both]
        used += len(counts)
        rest = rest[~both]
    return sets


def _numbered(keys: Sequence[_Numbers]) -> _Numbers:
    """(N,) consecutive numbers, from 0, of the distinct combinations of keys."""
    numbers = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:  # renumbered after each key, so that the products stay small
        _, number = np.unique(key, return_inverse=True)
        _, numbers = np.unique(numbers * (int(number.max(initial=0)) + 1) + number, return_inverse=True)
    return numbers


def _heads(records: Records) -> _Numbers:
    """(V,) number of the first part of each video's name, up to its first `_`."""
    names = pa.array(records.names("video_id"), pa.string())
    heads = pc.replace_substring_regex(names, r"(?s)^(?:.*/)?([^/_]*)[^/]*$", r"\1")
    return np.asarray(heads.dictionary_encode().indices.to_numpy(zero_copy_only=False), dtype=np.int64)


class PairOrder:
    """Every fake once per epoch, next to a real image of its source.

    If a set has more fakes than reals (in FaceForensics++, four to one), its reals are repeated in turn. If it has more
    reals, the surplus comes without a fake, different images in each epoch. Images without a partner come in twos; if
    their number is odd, another image is repeated to fill the last two.

    Args:
        labels: (N,) class of each record.
        sets: (N,) numbers from `source_sets`.
        same: Both images of a pair get the same augmentation: the fake has the draws of its real.
    """

    unit = 2

    def __init__(self, labels: Sequence[int] | NDArray[np.int8], sets: _Numbers, *, same: bool = True) -> None:
        self.labels, self.sets, self.same = np.asarray(labels), sets, same
        self.reals, self.fakes = (_with(self.labels == kind, sets) for kind in (REAL, FAKE))
        self.alone = np.flatnonzero(sets == NO_PARTNER)
        reals, fakes = (np.bincount(sets[part], minlength=1) for part in (self.reals, self.fakes))
        length = max(len(reals), len(fakes))
        # (sets,) how many more reals than fakes each set has
        more = np.pad(reals, (0, length - len(reals))) - np.pad(fakes, (0, length - len(fakes)))
        self.repeated = int(-more[more < 0].sum())
        self._left = int(more[more > 0].sum())

    def __len__(self) -> int:
        return len(self.fakes) + -(-(self._left + len(self.alone)) // self.unit)

    def classes(self) -> tuple[int, int]:
        """Numbers of real and fake samples of an epoch."""
        alone = np.bincount(self.labels[self.alone], minlength=2)
        return len(self.fakes) + self._left + int(alone[REAL]), len(self.fakes) + int(alone[FAKE])

    def told(self) -> str:
        """A description of an epoch for the log."""
        parts = [f"{count(len(self.fakes), 'pair')} of a real and a fake image of one source"]
        if self.repeated:
            parts.append(f"{count(self.repeated, 'repetition')} of real images")
        if alone := self._left + len(self.alone):
            parts.append(f"{count(alone, 'image')} without a partner")
        return ", ".join(parts)

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Yields units of two: pairs, and images without a partner."""
        fakes, reals = dealt(self.fakes, self.reals, self.sets, random)
        left = np.setdiff1d(self.reals, reals)
        twos = in_twos(np.concatenate([left, self.alone]), len(self.labels), random)
        first, second = np.concatenate([np.stack([reals, fakes]), twos], axis=1)  # (units,) each; pairs come first
        for place in cycled(np.arange(len(first)), length, random).tolist():
            yield given_pair(int(first[place]), int(second[place]), same=self.same and place < len(fakes))


class MixedOrder:
    """Every real image once per epoch, next to a fake: its self-blend for a share of them, a given one for the others.

    Given fakes are drawn anew in each epoch, and none is repeated before the others have been used. If there are more
    of them than real images, an epoch has only some of them.

    Args:
        labels: (N,) class of each record.
        faces: (N,) whether its landmarks are known; a real image without landmarks gets a given fake.
        share: Share of blends among the fakes next to real images, including those real images that have no given
            fake of their source and therefore get a blend.
        sets: (N,) numbers from `source_sets`: a given fake is of the same source as the real image; None: of any.
        same: Both images of a given pair of one source get the same augmentation. A real image and its blend always do.
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
        self._must = np.flatnonzero(real & blends & ~given)  # real images that must be blended: they have no fake
        self._never = np.flatnonzero(real & ~blends & given)  # can't be blended: they have no landmarks
        self._may = np.flatnonzero(real & blends & given)  # may get a blend or a given fake
        self.alone = np.flatnonzero(~given & ~(real & blends))
        pairs = len(self._must) + len(self._never) + len(self._may)
        self._chosen = int(np.clip(round(share * pairs) - len(self._must), 0, len(self._may)))
        self.blends = len(self._must) + self._chosen
        self.given = pairs - self.blends

    def __len__(self) -> int:
        return self.blends + self.given + -(-len(self.alone) // self.unit)

    def classes(self) -> tuple[int, int]:
        """Numbers of real and fake samples of an epoch."""
        alone = np.bincount(self.labels[self.alone], minlength=2)
        return self.blends + self.given + int(alone[REAL]), self.blends + self.given + int(alone[FAKE])

    def told(self) -> str:
        """A description of an epoch for the log."""
        of = " of its source" if self.of_source else ""
        parts = [f"{count(self.blends, 'blend')} and {count(self.given, 'given fake')}{of}, each next to a real image"]
        if len(self.alone):
            parts.append(f"{count(len(self.alone), 'image')} without a partner")
        return ", ".join(parts)

    def draw(self, random: np.random.Generator, length: int) -> DrawnRequests:
        """Yields units of two: a real image with its blend or a given fake, and images without a partner."""
        may = random.permutation(self._may)
        blended = np.concatenate([self._must, may[: self._chosen]])
        unblended = np.concatenate([self._never, may[self._chosen :]])
        if self.of_source:
            reals, fakes = dealt(unblended, self.fakes, self.sets, random)
        else:
            reals, fakes = random.permutation(unblended), cycled(self.fakes, len(unblended), random)
        twos = in_twos(self.alone, len(self.labels), random)
        # (units,) each: first the blends, then the given pairs, then images without a partner
        first, second = np.concatenate([np.stack([blended, blended]), np.stack([reals, fakes]), twos], axis=1)
        for place in cycled(np.arange(len(first)), length, random).tolist():
            real, other = int(first[place]), int(second[place])
            if place < len(blended):
                yield Request(real, "real"), Request(real, "fake")
            else:
                yield given_pair(real, other, same=self.same and place < len(blended) + len(reals))


def given_pair(real: int, fake: int, *, same: bool) -> tuple[Request, Request]:
    """Requests for two images on disk; with `same`, the second one has the draws of the first."""
    return Request(real), Request(fake, like=real if same else -1)


def dealt(takers: _Numbers, given: _Numbers, sets: _Numbers, random: np.random.Generator) -> tuple[_Numbers, _Numbers]:
    """Assigns to each taker a record of the same set, at random; none is assigned again before the others were.

    Args:
        takers: (T,) records, each in a set that has at least one of `given`.
        given: (G,) records to assign.
        sets: (N,) set of each record.
        random: Generator of the assignment.

    Returns:
        (T,) takers and (T,) the record assigned to each, sorted by set.
    """
    takers, given = (
        shuffled[np.argsort(sets[shuffled], kind="stable")] for shuffled in map(random.permutation, (takers, given))
    )
    mine, theirs = sets[takers], sets[given]
    # (T,) the turn of each taker in its set; where the given records of its set start, and how many there are
    turn = np.arange(len(takers)) - np.searchsorted(mine, mine, side="left")
    first = np.searchsorted(theirs, mine, side="left")
    number = np.searchsorted(theirs, mine, side="right") - first
    return takers, given[first + turn % np.maximum(number, 1)]


def in_twos(alone: _Numbers, total: int, random: np.random.Generator) -> _Numbers:
    """(2, units) records in random order, two per unit; if their number is odd, any other record is added."""
    order = random.permutation(alone)
    if len(order) % 2:
        filler = int(random.integers(total - 1))
        order = np.append(order, filler + (filler >= order[-1]))  # skips the record that it is put next to
    return order.reshape(-1, 2).T.astype(np.int64)


def _with(mine: NDArray[np.bool_], sets: _Numbers) -> _Numbers:
    """Records of a class that have a partner."""
    return np.flatnonzero(mine & (sets != NO_PARTNER))
