"""Injects faults into real preparations, runs each to its end afterwards, and counts what was lost: a Markdown table.

The faults are in `faults.py`. Exits with 1 if anything that was finished was lost or doubled.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from faults import FAULTS, Fault, MissedError
from preparation import IMAGES, Preparation, Rows, make_data

HEADER = "| fault | hits, by target | finished before | repeated | lost | duplicated |\n|---|---|---|---|---|---|"


@dataclass
class Result:
    """What came of all injections of one fault.

    Attributes:
        hits: How often it hit, by what was hit.
        missed: How often it came too late.
        finished: Images or videos that were finished when the fault struck and that it left as they were.
        again: How many of them were done again.
        lost: Rows that an undisturbed run has, and this index has not or says otherwise.
        doubled: Rows that are there twice, or that an undisturbed run doesn't have.
    """

    hits: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    finished: int = 0
    again: int = 0
    lost: int = 0
    doubled: int = 0

    def line(self, name: str) -> str:
        """One row of the table."""
        what = ", ".join(f"{what} {count}" for what, count in sorted(self.hits.items()))
        hits = f"{self.hits.total()} ({what})" + (f"; {self.missed} too late" if self.missed else "")
        return f"| {name} | {hits} | {self.finished} | {self.again} | {self.lost} | {self.doubled} |"


def inject(fault: Fault, one: Preparation, expected: Rows | None, result: Result, rng: random.Random) -> None:
    """One injection, the run after it, and the comparison with an undisturbed run.

    Args:
        fault: What is done.
        one: A preparation that was not begun.
        expected: Rows of the undisturbed run; None: one is made of the data as they are after the fault.
        result: Where it is counted.
        rng: Decides the moment and the place.
    """
    with one.undo:
        try:
            hit = fault(one, rng)
        except MissedError:
            result.missed += 1
            return
        known = one.go_on()
        rows = one.rows()
        left = [path for path in one.out.rglob(".*") if path.suffix == ".partial" or path.suffix[1:].isdecimal()]
        if left:
            raise AssertionError(f"left behind: {left}")
    if expected is None:
        other = Preparation(one.kind, one.data, one.out.with_name("expected"))
        other.go_on()
        expected = other.rows()
    result.hits[hit.what] += 1
    result.finished += hit.finished
    result.again += max(0, hit.finished - known)
    result.lost += sum(rows.get(path) != found for path, found in expected.items())
    result.doubled += sum(len(found) > 1 or path not in expected for path, found in rows.items())


def inject_often(name: str, repeats: int, work: Path, data: dict[str, Path], expected: dict[str, Rows]) -> Result:
    """All injections of one fault, each from a seed of its own."""
    kind, fault = FAULTS[name]
    result = Result()
    own_data = "image" in name.split() or kind not in expected  # changed by the fault
    for number in range(repeats):
        folder = work / "trial"
        root = data[kind]
        if own_data:
            root = Path(shutil.copytree(root, folder / "data", symlinks=True))
        one = Preparation(kind, root, folder / "out")
        inject(fault, one, None if own_data else expected[kind], result, random.Random(f"{name} {number}"))
        shutil.rmtree(folder)
    return result


def main() -> int:
    """Makes the data, injects every fault, prints the table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="injections of each fault")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    arguments = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())
    bad = 0
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="addnet-faults-")))
        data = make_data(work / "data")
        expected: dict[str, Rows] = {}
        for kind in (IMAGES, "videos"):
            undisturbed = Preparation(kind, data[kind], work / "undisturbed" / kind / "out")
            undisturbed.go_on()
            expected[kind] = undisturbed.rows()
        print(HEADER, flush=True)  # noqa: T201 - the table is what it is run for
        for name in FAULTS:
            if arguments.only in name:
                result = inject_often(name, arguments.repeats, work, data, expected)
                bad += result.lost + result.doubled
                print(result.line(name), flush=True)  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
