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

from addnet.cli import overrides_of, show_help
from addnet.commands import COMMANDS, typed_as
from addnet.config import compose
from addnet.console import say
from addnet.errors import UserError, require_choice
from addnet.mistyped import answer, refuse_options

VERBS = ("check", "audit")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    verb, *words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if verb in ("-h", "--help"):
        sys.stdout.write("".join(f"{typed_as(f'data {verb}')}: {COMMANDS[f'data {verb}'].purpose}\n" for verb in VERBS))
        return 0
    name = f"data {verb}"
    overrides: list[str] = []
    try:
        require_choice("command", verb, VERBS)
        overrides = overrides_of(words, command=name)
        if show_help(overrides, command=name):
            return 0
        refuse_options(overrides, command=name)
        cfg = compose(overrides, config_name=COMMANDS[name].config)
    except (HydraException, OmegaConfBaseException) as error:
        sys.stderr.write(answer(error, overrides, command=name))
        return 2
    except UserError as error:
        say(error)
        return 2
    try:
        return _run(verb, cfg)
    except UserError as error:
        say(error)
        return 1


def _run(command: str, cfg: DictConfig) -> int:
    if command == "audit":
        from addnet.data.audit import main as audit  # brings plots and hashes, which a check doesn't need

        return audit(cfg)
    from addnet.data.check import main as check

    return check(cfg)


if __name__ == "__main__":
    sys.exit(main())
