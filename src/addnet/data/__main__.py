"""Looks at a data set without training on it.

    addnet data check data=faceforensics data.data_dir=/data/ff [data.options.compression=c40 …]
    addnet data audit data=… data.data_dir=…
    addnet data explain-names FOLDER [data.group_pattern=…] [data.video_pattern=…]

`check` says what is there, what is missing and where it was expected. `audit` says what is wrong with it: leaks
between splits, the same image twice, hints that give the class away. `explain-names` shows which files of a folder
are taken for frames of one video, and for one group, and what other patterns would make of them. Arguments are
overrides as for training. Exits with 1 if something needed is missing or wrong, with 2 if an argument is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from addnet.cli import command, subcommands
from addnet.errors import UserError
from addnet.overrides import quoted

_FAULTS = 1  # exit code


@command("data check", refused=_FAULTS)
def check(cfg: DictConfig) -> int:
    """Says what is there and what is missing."""
    from addnet.data.check import main

    return main(cfg)


@command("data audit", refused=_FAULTS)
def audit(cfg: DictConfig) -> int:
    """Says what is wrong with what is there."""
    from addnet.data.audit import main  # brings plots and hashes, which a check doesn't need

    return main(cfg)


def folder_of(words: Sequence[str]) -> list[str]:
    """Overrides of the command line: a folder without a key is `data.data_dir`.

    Example:
        >>> folder_of(["my faces", "data.group_pattern='(.+)'"])
        ["data.data_dir='my faces'", "data.group_pattern='(.+)'"]
    """
    return [word if word.startswith("-") or "=" in word else f"data.data_dir={quoted(word)}" for word in words]


@command("data explain-names", words=folder_of, refused=_FAULTS)
def explain(cfg: DictConfig) -> int:
    """Shows what became a video and what a group."""
    from rich.console import Console

    from addnet.data.explain_names import explain_names

    if cfg.data.layout != "folder" or not cfg.data.data_dir:
        raise UserError("name a folder of your own, such as addnet data explain-names faces; other layouts have lists")
    patterns = {name: cfg.data[name] for name in ("group_pattern", "video_pattern")}
    explain_names(Path(cfg.data.data_dir), Console(), **patterns)
    return 0


main = subcommands("data", {"check": check, "audit": audit, "explain-names": explain})

if __name__ == "__main__":
    sys.exit(main())
