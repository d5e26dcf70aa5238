"""One method of making fakes held back: it is neither trained nor validated on, and the only one that is tested."""

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
    """Splits of which test keeps the fakes of one method, and the others those of all others; all keep their reals.

    Args:
        splits: Of "train", "val" and "test" those that there are.
        method: As the data set calls it.

    Raises:
        UserError: No fake to be trained on, or none to be tested on, is of another or of this method.
    """
    found = {}
    for name, part in splits.items():
        fake, held = part.labels == FAKE, part.having("method", method)
        found[name] = part.take(~fake | (held == (name == "test")))
        if (fake.any() or name == "test") and not (found[name].labels == FAKE).any():
            there = ", ".join(shown(known) for known in methods_of(part)) or "none that is named"
            lacks = f"no fake of {name} is of it" if name == "test" else f"all fakes of {name} are of it"
            raise UserError(f"{KEY}={method}: {lacks}. Methods there: {there}")
    if "train" in splits:
        log.info(
            "%s is held back: %s of training, %s of validation; a test asks about it alone",
            shown(method),
            *(count(len(splits[name]) - len(found[name]), "fake") for name in ("train", "val")),
        )
    return found


def methods_of(records: Records) -> list[str]:
    """The methods of fakes that are named, sorted."""
    fakes = records.take(records.labels == FAKE)
    return [name for name in fakes.names("method") if name]


def to_sweep(data: Mapping[str, Any]) -> str:
    """Each method that is trained on, as values for a sweep over `data.held_method`.

    Configs say it as `${each_method:${data}}`.

    Args:
        data: A `data` node, as plain values.

    Raises:
        UserError: There are fewer than two.
    """
    sources = configured(data).train
    parts = [source.records() for source in sources]
    methods = methods_of(Records.concat(part.take(part.having("split", "train")) for part in parts))
    if len(methods) < 2:
        named = ", ".join(source.named for source in sources)
        raise UserError(
            f"{named} names {count(len(methods), 'method')} of making fakes, and holding back one of them takes at "
            "least two: a layout that knows methods (data=faceforensics, celebdfpp, df40 …), or a manifest with the "
            "column method"
        )
    return ",".join(map(quoted, methods))
