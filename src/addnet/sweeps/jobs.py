"""A sweep folder as it lies on disk → its jobs, whatever launcher ran them."""

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
        number: Of the job in its sweep, mostly digits.
        folder: Its run folder.
        overrides: Value by key, as given for this job.
        result: How it ended; None if it hasn't.
    """

    sweep: str
    number: str
    folder: Path
    overrides: dict[str, str] = field(default_factory=dict)
    result: Result | None = None

    @property
    def status(self) -> str:
        """`success`, `failed`, `interrupted`, or `unfinished` where the job has written no result."""
        return self.result.status if self.result else "unfinished"

    @property
    def reason(self) -> str:
        """Why it is no success, in one line."""
        return " ".join(self.result.reason.split()) if self.result else "not run to its end"

    def metric(self, name: str) -> float:
        """A metric of this job; NaN where it has none."""
        if self.result is None or self.status != "success":
            return math.nan
        value = self.result.score if name == SCORE else self.result.metrics.get(name)
        return math.nan if value is None else value

    def value(self, key: str) -> Value:
        """Value of a parameter: as given, else as the job's config had it."""
        if key in self.overrides:
            return as_value(self.overrides[key])
        with environment_by_name():  # tables are given away
            found = OmegaConf.select(self.config, key, throw_on_missing=False, default=None)
        if found is None or OmegaConf.is_config(found):  # a group: the name of its file
            found = self._choices.get(key)
        return MISSING if found is None else as_value(str(found))

    @property
    def seed(self) -> str:
        """The seed it ran with."""
        return value_text(self.value("seed"))

    @cached_property
    def config(self) -> Any:
        """The job's config, empty if it got none: resolved where the run came so far."""
        for file in (self.folder / "config.yaml", self.folder / ".hydra" / "config.yaml"):
            if file.is_file():
                return OmegaConf.load(file)
        return OmegaConf.create()

    @cached_property
    def _choices(self) -> dict[str, Any]:
        file = self.folder / ".hydra" / "hydra.yaml"
        return dict(OmegaConf.load(file).hydra.runtime.choices) if file.is_file() else {}


def read_sweep(folder: Path) -> list[SweepJob]:
    """Jobs of a sweep folder, in order of their numbers.

    Those that the isolated launcher ordered, also if they never started; and every folder that Hydra ran a job in.

    Raises:
        UserError: There is no such folder, or a result in it is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; the folder of a sweep is expected, such as outputs/train-sweep/TIME")
    found = {job.folder: (str(job.number), list(job.overrides)) for job in planned(folder)}
    for file in sorted(folder.glob("**/.hydra/overrides.yaml")):
        name = str(file.parents[1].relative_to(folder))
        if name != ".":  # a single run is no sweep
            found.setdefault(name, (_number(file.parents[1], name), [str(o) for o in OmegaConf.load(file)]))
    jobs = [
        SweepJob(folder.resolve().name, number, folder / name, split(overrides), read_result(folder / name))
        for name, (number, overrides) in found.items()
    ]
    return sorted(jobs, key=lambda job: (int(job.number) if job.number.isdigit() else math.inf, str(job.folder)))


def split(overrides: list[str]) -> dict[str, str]:
    """Overrides in Hydra's grammar as text by key; those of Hydra itself are left out.

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
    """A number where the text is one, so that `1e-4` and `0.0001` are the same."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def value_text(value: Value) -> str:
    """A value as people write it.

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
