"""`make bench`: measures every part beside its peers and prints, saves and draws the table."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from table import save, show

PARTS = (
    *("layer", "samples", "training", "preparation", "startup", "growth"),
    *("predicting", "evaluating", "exporting", "auditing"),
)


def main() -> int:
    """Measures all parts, or those that are named; always exits with 0 once measured: a miss is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS, help="these parts instead of all")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    arguments = parser.parse_args()
    rows = []
    for part in arguments.only:
        for row in importlib.import_module(part).rows():
            rows.append(row)
            print(f"{row.number:>4}  {row.what} / {row.against}: {row.ratio.value:.3g}", flush=True)
    rows.sort(key=lambda row: int(row.number.rstrip("abcde")))
    show(rows)
    print("13   training step on a GPU: see benchmarks/gpu.py")
    print(save(rows, arguments.out, name="cpu"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
