"""Row 11: how long `--help` and `--cfg job` take beside the import of Hydra."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from measure import Work, race
from table import Row

SMALLEST = "import hydra; hydra.main(version_base='1.3', config_path=None)(lambda cfg: None)()"
COMMANDS = {"--help": "--help", "--cfg job": "--cfg=job"}


def rows() -> Iterator[Row]:
    """Wall time of whole processes."""
    contenders: dict[str, Work] = {"import hydra": lambda: _run("-c", "import hydra")}
    contenders["--cfg job of one file of one line"] = lambda: _run("-c", SMALLEST, "--cfg=job")
    contenders |= {name: partial(_run, "-m", "addnet.train", option) for name, option in COMMANDS.items()}
    times = race(contenders, rounds=15, seconds=0)
    seconds = {name: time.median for name, time in times.items()}
    for number, name in zip("ab", COMMANDS, strict=True):
        yield Row(
            f"11{number}",
            f"python -m addnet.train {name}",
            "import hydra",
            times[name].over(times["import hydra"]),
            ("<=", 2),
            seconds,
        )
        seconds = {}


def _run(*arguments: str) -> None:
    # the call that warms up compiles this package, as pip has done with Hydra's
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
