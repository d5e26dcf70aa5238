"""Holds out one method of making fakes: training and validation leave it out, and it is the only one tested."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from addnet.data.named import configured
from addnet.errors import UserError
from addnet.index.records import FAKE, Records
from addnet.overrides import quoted
from addnet.untrusted.texts import shown
from addnet.wording import count

log = logging.getLogger(__name__)

KEY = "data.held_method"


def hold_back(splits: Mapping[str, Records], method: str) -> dict[str, Records]:
    """Restricts the fakes of test to one method, and those of the other splits to all other methods; reals stay.

    Args:
        splits: The records of "train", "val" and "test", or of some of them.
        method: Name of the method in the data set.

    Raises:
        UserError: Test has no fakes of this method, or another split with fakes has none of other methods.
    """
    result = {}
    for name, part in splits.items():
        fake, held = part.labels == FAKE, part.having("method", method)
        result[name] = part.take(~fake | (held == (name == "test")))
        if (fake.any() or name == "test") and not (result[name].labels == FAKE).any():
            available = ", ".join(shown(known) for known in methods_of(part)) or "none are named"
            lacks = f"no fakes in {name} are of this method" if name == "test" else f"all fakes in {name} are of it"
            raise UserError(f"{KEY}={method}: {lacks}; use another method. Methods in {name}: {available}")
    if "train" in splits:
        log.info(
            "%s is held out: %s of training and %s of validation are left out; the test has only fakes of this method",
            shown(method),
            *(count(len(splits[name]) - len(result[name]), "fake") for name in ("train", "val")),
        )
    return result


def methods_of(records: Records) -> list[str]:
    """The names of the methods of all fakes, sorted."""
    fakes = records.take(records.labels == FAKE)
    return [name for name in fakes.names("method") if name]


def to_sweep(data: Mapping[str, Any]) -> str:
    """All methods in the training data, as values for a sweep over `data.held_method`.

    In a config, write `${each_method:${data}}`.

    Args:
        data: A `data` node, as plain values.

    Raises:
        UserError: There are fewer than two methods.
    """
    sources = configured(data).train
    parts = [source.records() for source in sources]
    methods = methods_of(Records.concat(part.take(part.having("split", "train")) for part in parts))
    if len(methods) < 2:
        named = ", ".join(source.named for source in sources)
        raise UserError(
            f"{named} names {count(len(methods), 'method')} of making fakes, but to hold one out there must be at "
            "least two: use a layout with methods (data=faceforensics, celebdfpp, df40 …), or a manifest with the "
            "column method"
        )
    return ",".join(map(quoted, methods))
