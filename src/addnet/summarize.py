"""`addnet summarize SWEEP_DIR …`: writes the tables and plots of a sweep again, or of several sweeps together."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from addnet.commands import described
from addnet.console import say
from addnet.errors import UserError
from addnet.sweeps import read_sweep, write_summary


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = _parser().parse_args(argv)
    try:
        if len(options.sweeps) > 1 and options.out is None:
            raise UserError("--out DIR is needed: the folder for the summary of several sweeps")
        jobs = []
        for folder in dict.fromkeys(options.sweeps):
            of_sweep = read_sweep(folder)
            if not of_sweep:
                raise UserError(f"{folder} contains no jobs; give the folder of a sweep, not of a run")
            jobs += of_sweep
        files = write_summary(jobs, options.out or options.sweeps[0], metric=options.metric)
    except UserError as error:
        say(f"addnet summarize: {error}")
        return 2
    sys.stdout.write(f"{files.text.read_text(encoding='utf-8')}\n")
    sys.stdout.write("".join(f"{file}\n" for file in files))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(**described("summarize"))
    parser.add_argument("sweeps", nargs="+", type=Path, metavar="SWEEP_DIR")
    parser.add_argument("--metric", help="metric such as test/video/auroc (default: test/frame/auroc if there is one)")
    parser.add_argument(
        "--out", type=Path, help="folder for the summary (default: the folder of the sweep, if there is only one)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
