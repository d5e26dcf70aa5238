"""`addnet COMMAND …`, the same as `python -m addnet.COMMAND …`; without a command, it lists all commands."""

from __future__ import annotations

import os
import runpy
import sys

from addnet.commands import COMMANDS, overview
from addnet.console import say
from addnet.errors import suggestion

WRONG_COMMAND = 2  # exit code


def main() -> None:
    """Runs the command named by the first argument."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        sys.stdout.write(overview())
    elif name in ("-V", "--version"):
        from addnet.versions import versions_in_words

        sys.stdout.write(versions_in_words())
    elif name in ("--completion", "--complete"):
        from addnet import completion

        sys.exit(completion.main(name, rest))
    elif name in (known := list(dict.fromkeys(command.split()[0] for command in COMMANDS))):
        sys.argv[:] = [f"addnet {name}", *rest]
        # alter_sys: child processes are then started as python -m addnet.COMMAND
        runpy.run_module(f"addnet.{name}", run_name="__main__", alter_sys=True)
    else:
        say(f"addnet {name}: there is no such command.{_meant(name, known)} addnet --help lists all commands")
        sys.exit(WRONG_COMMAND)


def _meant(name: str, known: list[str]) -> str:
    if os.path.exists(name):  # noqa: PTH110 - a path of any form
        return f" To analyse a file: addnet predict {name}."
    if "=" in name:
        return f" Settings come after a command: addnet train {name}."
    return suggestion(name, known)


if __name__ == "__main__":
    main()
