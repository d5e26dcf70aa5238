"""The records in a sweep folder: the command that started the sweep, and its jobs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.errors import CompactHydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from addnet.errors import UserError
from addnet.sweeps.results import read_json, write_json

SWEEP = "sweep.json"
JOBS = "jobs.json"

_begun: list[Path] = []


class SweepError(UserError, CompactHydraException):
    """A `UserError` that passes through Hydra without a traceback."""


@dataclass(frozen=True)
class PlannedJob:
    """A job as it was planned.

    Attributes:
        number: Number of the job in its sweep, from 0.
        folder: Its run folder, relative to the sweep folder.
        overrides: Its overrides of the defaults, in Hydra's grammar.
    """

    number: int
    folder: str
    overrides: tuple[str, ...]


class RecordSweep(Callback):
    """Hydra callback that records the command of a sweep in its folder, for any launcher and sweeper."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Writes `sweep.json` unless it exists."""
        folder = Path(str(config.hydra.sweep.dir)).absolute()
        _begun.append(folder)
        if not (folder / SWEEP).exists():
            folder.mkdir(parents=True, exist_ok=True)
            sweeper = OmegaConf.select(config, "hydra.sweeper._target_")
            launcher = config.hydra.runtime.choices.get("hydra/launcher")
            metric = OmegaConf.select(config, "sweep_metric")
            record = {"arguments": sys.argv[1:], "cwd": str(Path.cwd()), "launcher": launcher, "sweeper": sweeper}
            write_json(folder / SWEEP, record | {"metric": metric})


def begun() -> Path | None:
    """Returns the folder of the sweep that this process started; None for single runs."""
    return _begun[-1] if _begun else None


def plan(sweep_dir: Path, jobs: Iterable[PlannedJob]) -> None:
    """Adds jobs to the list in the sweep folder before they start."""
    known = {job.number: job for job in planned(sweep_dir)} | {job.number: job for job in jobs}
    write_json(sweep_dir / JOBS, [asdict(known[number]) for number in sorted(known)])


def planned(sweep_dir: Path) -> list[PlannedJob]:
    """Returns the jobs that the isolated launcher planned; empty for other launchers."""
    return [
        PlannedJob(job["number"], job["folder"], tuple(job["overrides"])) for job in read_json(sweep_dir / JOBS) or []
    ]


def config_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits a command line of Hydra.

    Returns:
        The options that locate the configs, and the overrides, which must come after all options.
    """
    typed, _ = get_args_parser().parse_known_args(list(arguments))
    options = {name: getattr(typed, name.replace("-", "_")) for name in ("config-path", "config-name", "config-dir")}
    return [f"--{name}={value}" for name, value in options.items() if value is not None], list(typed.overrides)
