"""The splits of a manifest's rows: from its column, or with whole groups held out for testing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from addnet.data.layouts.manifest_columns import read_splits
from addnet.data.layouts.manifest_rows import Rows
from addnet.errors import UserError
from addnet.index.records import CLASS_NAMES


def choose_splits(
    rows: Rows, column: str | None, groups: pa.Array, labels: pa.Array, *, split: str, fraction: float | None, seed: int
) -> NDArray[np.str_]:
    """(N,) splits.

    Args:
        rows: The manifest.
        column: Its column with splits, if it has one.
        groups: (N,) group of each row.
        labels: (N,) class of each row.
        split: The split of all rows if there is no column for it.
        fraction: Share of each class in `train` to hold out for testing; None: none.
        seed: Decides which groups are held out.

    Raises:
        UserError: An unknown split in a row, or a `fraction` that can't be held out.
    """
    given = np.full(len(labels), split) if column is None else read_splits(rows, column)
    if fraction is None:
        return given
    option = f"data.options.test_fraction={fraction}"
    if not 0 < fraction < 1:
        raise UserError(f"{option} must lie between 0 and 1; 0.2 is usual")
    if "test" in given:
        raise UserError(f"{option}, but {rows.file} already has rows for testing; leave the option out (null)")
    if "train" not in given:
        raise UserError(f"{option}: no row of {rows.file} is for training, so none can be held out for testing")
    coded = groups.dictionary_encode()
    rank = np.argsort(np.argsort(np.asarray(coded.dictionary.to_pylist())))  # by name: independent of row order
    test = _carved(rank[np.asarray(coded.indices)], np.asarray(labels), given == "train", fraction, seed)
    return np.where(test, "test", given)


def _carved(
    groups: NDArray[Any], labels: NDArray[Any], wanted: NDArray[np.bool_], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """(N,) rows of whole groups, taken in a seeded order while a class they hold is short of its share."""
    sizes = np.zeros((int(groups.max()) + 1, len(CLASS_NAMES)), dtype=np.int64)
    np.add.at(sizes, (groups[wanted], labels[wanted]), 1)  # (groups, classes) number of rows
    short = fraction * sizes.sum(axis=0)  # (classes,) rows still to hold out
    taken = np.zeros(len(sizes), dtype=bool)
    for group in np.random.default_rng((seed, 1)).permutation(len(sizes)):
        if (short[sizes[group] > 0] > 0).any():
            taken[group] = True
            short = short - sizes[group]
    chosen: NDArray[np.bool_] = taken[groups] & wanted
    return chosen
