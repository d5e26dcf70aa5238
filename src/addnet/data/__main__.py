"""Looks at a data set without training on it.

    python -m addnet.data check data=faceforensics data.data_dir=/data/ff [data.options.compression=c40 …]
    python -m addnet.data audit data=… data.data_dir=…

`check` says what is there, what is missing and where it was expected. `audit` says what is wrong with it: leaks
between splits, the same picture twice, hints that give the class away. Arguments are overrides as for training.
Exits with 1 if something needed is missing or wrong, with 2 if an argument is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from addnet.cli import suggestions
from addnet.config import compose
from addnet.errors import UserError, require_choice

COMMANDS = {"check": "train", "audit": "audit"}  # and the file in configs/ that each reads


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    command, *overrides = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if {"-h", "--help"} & {command, *overrides}:
        sys.stdout.write(__doc__ or "")
        return 0
    try:
        require_choice("command", command, list(COMMANDS))
        cfg = compose(overrides, config_name=COMMANDS[command])
    except (UserError, HydraException, OmegaConfBaseException) as error:
        name = COMMANDS.get(command, "train")
        hints = suggestions(overrides, config_name=name) if isinstance(error, HydraException) else ""
        sys.stderr.write(f"{error}\n{hints}")
        return 2
    try:
        return _run(command, cfg)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(command: str, cfg: DictConfig) -> int:
    if command == "audit":
        from addnet.data.audit import main as audit  # brings plots and hashes, which a check doesn't need

        return audit(cfg)
    from addnet.data.check import main as check

    return check(cfg)


if __name__ == "__main__":
    sys.exit(main())
