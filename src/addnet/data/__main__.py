"""Inspects a data set without training on it.

    addnet data check data=faceforensics data.data_dir=/data/ff [data.options.compression=c40 …]
    addnet data audit data=… data.data_dir=…
    addnet data explain-names FOLDER [data.group_pattern=…] [data.video_pattern=…]

`check` lists the files found, and what is missing and where it was expected. `audit` reports defects: leaks between
splits, duplicate images, cues that give the class away. `explain-names` shows which files of a folder are treated as
frames of one video and as one group, and how other patterns would group them. Arguments are overrides, as for
training. Exits with 1 if something required is missing or wrong, with 2 if an argument is wrong.
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
    """Lists what was found in a data set and what is missing."""
    from addnet.data.check import main

    return main(cfg)


@command("data audit", refused=_FAULTS)
def audit(cfg: DictConfig) -> int:
    """Reports the defects of a data set."""
    from addnet.data.audit import main  # imports plots and hashes, which a check doesn't need

    return main(cfg)


def folder_of(words: Sequence[str]) -> list[str]:
    """The overrides in the arguments of a command: a folder without a key becomes `data.data_dir`.

    Example:
        >>> folder_of(["my faces", "data.group_pattern='(.+)'"])
        ["data.data_dir='my faces'", "data.group_pattern='(.+)'"]
    """
    return [word if word.startswith("-") or "=" in word else f"data.data_dir={quoted(word)}" for word in words]


@command("data explain-names", words=folder_of, refused=_FAULTS)
def explain(cfg: DictConfig) -> int:
    """Shows which files became a video and which a group."""
    from rich.console import Console

    from addnet.data.explain_names import explain_names

    if cfg.data.layout != "folder" or not cfg.data.data_dir:
        raise UserError(
            "name a folder in the folder layout, such as addnet data explain-names faces; other layouts take videos "
            "and groups from lists"
        )
    patterns = {name: cfg.data[name] for name in ("group_pattern", "video_pattern")}
    explain_names(Path(cfg.data.data_dir), Console(), **patterns)
    return 0


main = subcommands("data", {"check": check, "audit": audit, "explain-names": explain})

if __name__ == "__main__":
    sys.exit(main())
