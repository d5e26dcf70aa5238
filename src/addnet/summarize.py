"""`addnet summarize SWEEP_DIR …`: tables and plots of sweeps again, or of several sweeps as one."""

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
            raise UserError("--out DIR is needed: the folder that the summary of several sweeps is written to")
        jobs = []
        for folder in dict.fromkeys(options.sweeps):
            found = read_sweep(folder)
            if not found:
                raise UserError(f"{folder} holds no jobs; the folder of a sweep is expected, not that of a run")
            jobs += found
        files = write_summary(jobs, options.out or options.sweeps[0], metric=options.metric)
    except UserError as error:
        say(f"addnet.summarize: {error}")
        return 2
    sys.stdout.write(f"{files.text.read_text(encoding='utf-8')}\n")
    sys.stdout.write("".join(f"{file}\n" for file in files))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(**described("summarize"))
    parser.add_argument("sweeps", nargs="+", type=Path, metavar="SWEEP_DIR")
    parser.add_argument("--metric", help="such as test/video/auroc (default: test/frame/auroc where there is one)")
    parser.add_argument("--out", type=Path, help="folder for the summary (default: that of the only sweep)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
