"""Reads the jobs of a sweep folder, whichever launcher ran them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from addnet.errors import UserError
from addnet.sweeps.record import planned
from addnet.sweeps.results import Result, read_result
from addnet.untrusted.secrets import environment_by_name

SCORE = "score"
MISSING = "–"

Value = float | str


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep.

    Attributes:
        sweep: Name of the sweep folder.
        number: Number of the job in its sweep; usually digits.
        folder: Its run folder.
        overrides: Values by key, as given for this job.
        result: Its result; None if it hasn't ended.
    """

    sweep: str
    number: str
    folder: Path
    overrides: dict[str, str] = field(default_factory=dict)
    result: Result | None = None

    @property
    def status(self) -> str:
        """`success`, `failed`, `interrupted`, or `unfinished` if the job has written no result."""
        return self.result.status if self.result else "unfinished"

    @property
    def reason(self) -> str:
        """Why it did not succeed, in one line."""
        return " ".join(self.result.reason.split()) if self.result else "not finished"

    def metric(self, name: str) -> float:
        """Returns a metric of this job; NaN if it has no such metric."""
        if self.result is None or self.status != "success":
            return math.nan
        value = self.result.score if name == SCORE else self.result.metrics.get(name)
        return math.nan if value is None else value

    def value(self, key: str) -> Value:
        """Returns the value of a parameter: the job's override, or else the value in its config."""
        if key in self.overrides:
            return as_value(self.overrides[key])
        with environment_by_name():  # tables are passed on to others
            value = OmegaConf.select(self.config, key, throw_on_missing=False, default=None)
        if value is None or OmegaConf.is_config(value):  # a config group: the name of its file
            value = self._choices.get(key)
        return MISSING if value is None else as_value(str(value))

    @property
    def seed(self) -> str:
        """The seed it ran with."""
        return value_text(self.value("seed"))

    @cached_property
    def config(self) -> Any:
        """The job's config: resolved if the run got that far, else as composed; empty if there is none."""
        for file in (self.folder / "config.yaml", self.folder / ".hydra" / "config.yaml"):
            if file.is_file():
                return OmegaConf.load(file)
        return OmegaConf.create()

    @cached_property
    def _choices(self) -> dict[str, Any]:
        file = self.folder / ".hydra" / "hydra.yaml"
        return dict(OmegaConf.load(file).hydra.runtime.choices) if file.is_file() else {}


def read_sweep(folder: Path) -> list[SweepJob]:
    """Reads the jobs of a sweep folder, sorted by number.

    These are the jobs that the isolated launcher planned, even if they never started, and every folder in which Hydra
    ran a job.

    Raises:
        UserError: The folder doesn't exist, or a result in it is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the folder of a sweep, such as outputs/train-sweep/TIME")
    by_folder = {job.folder: (str(job.number), list(job.overrides)) for job in planned(folder)}
    for file in sorted(folder.glob("**/.hydra/overrides.yaml")):
        name = str(file.parents[1].relative_to(folder))
        if name != ".":  # the folder of a single run isn't a sweep
            by_folder.setdefault(name, (_number(file.parents[1], name), [str(o) for o in OmegaConf.load(file)]))
    jobs = [
        SweepJob(folder.resolve().name, number, folder / name, split(overrides), read_result(folder / name))
        for name, (number, overrides) in by_folder.items()
    ]
    return sorted(jobs, key=lambda job: (int(job.number) if job.number.isdigit() else math.inf, str(job.folder)))


def split(overrides: list[str]) -> dict[str, str]:
    """Splits overrides in Hydra's grammar into texts by key, without overrides of Hydra itself.

    Example:
        >>> split(["+tags=[a,b]", "optimizer.lr=1e-4", "task='my run'", "~debug", "hydra.verbose=true"])
        {'tags': '[a,b]', 'optimizer.lr': '1e-4', 'task': 'my run', 'debug': '(deleted)'}
    """
    pairs = {}
    for override in overrides:
        key, given, value = override.lstrip("+~").partition("=")
        if not key.startswith(("hydra.", "hydra/")):
            pairs[key] = value.strip("'\"") if given else "(deleted)"
    return pairs


def as_value(text: str) -> Value:
    """Converts a text to a number if it is one, so that `1e-4` and `0.0001` are equal; returns other texts as is."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def value_text(value: Value) -> str:
    """Writes a value in its usual short form.

    Example:
        >>> value_text(0.0001), value_text(3e-05), value_text(31.0), value_text("base")
        ('1e-4', '3e-5', '31', 'base')
    """
    if isinstance(value, str):
        return value
    if value and (abs(value) < 1e-2 or abs(value) >= 1e6):
        mantissa, _, exponent = f"{value:.6e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.10g}"


def _number(folder: Path, name: str) -> str:
    file = folder / ".hydra" / "hydra.yaml"
    number = OmegaConf.select(OmegaConf.load(file), "hydra.job.num", throw_on_missing=False) if file.is_file() else None
    return name if number is None else str(number)
