"""Looks at a data set without training on it.

    addnet data check data=faceforensics data.data_dir=/data/ff [data.options.compression=c40 …]
    addnet data audit data=… data.data_dir=…

`check` says what is there, what is missing and where it was expected. `audit` says what is wrong with it: leaks
between splits, the same picture twice, hints that give the class away. Arguments are overrides as for training.
Exits with 1 if something needed is missing or wrong, with 2 if an argument is wrong.
"""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from addnet.cli import command, subcommands

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


main = subcommands("data", {"check": check, "audit": audit})

if __name__ == "__main__":
    sys.exit(main())
