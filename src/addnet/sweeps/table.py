"""Jobs → one row for each combination of parameters, over seeds, with the difference to a reference."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from omegaconf import OmegaConf

from addnet.errors import UserError, require_choice
from addnet.sweeps.jobs import MISSING, SCORE, SweepJob, Value

PREFERRED = "test/frame/auroc"
ABLATION = "ablation"
SWEEP = "sweep"
LOWER_IS_BETTER = ("loss", "log_loss", "eer")
# no parameters: what is averaged over, the sweep's own name, where a job went on from, what a row is compared to
APART = ("seed", SWEEP, "ckpt_path", "compare_to", "sweep_metric")


class Difference(NamedTuple):
    """Differences to the reference between runs with the same seed."""

    mean: float
    sd: float
    better: int
    seeds: int


@dataclass
class Row:
    """All jobs with the same parameters.

    Attributes:
        parameters: Value by key, for the keys that vary.
        jobs: One for each seed, or more.
        figures: Of each job, NaN where it has none.
        reference: The row's ablation to compare to; empty where there is no ablation or it is the reference itself.
        difference: To that reference; None where no seed has a figure in both.
    """

    parameters: dict[str, Value]
    jobs: list[SweepJob]
    figures: list[float]
    reference: str = ""
    is_reference: bool = False
    difference: Difference | None = None

    @cached_property
    def finite(self) -> list[float]:
        """The figures that are numbers."""
        return [figure for figure in self.figures if math.isfinite(figure)]

    @property
    def mean(self) -> float:
        """Mean over the seeds that have a figure; NaN if none has."""
        return statistics.fmean(self.finite) if self.finite else math.nan

    @property
    def sd(self) -> float:
        """Sample standard deviation over seeds; NaN for fewer than two."""
        return statistics.stdev(self.finite) if len(self.finite) > 1 else math.nan

    @property
    def lacking(self) -> dict[str, int]:
        """How many jobs have no figure, by their status; `nan` where a successful one has none."""
        pairs = zip(self.jobs, self.figures, strict=True)
        states = (job.status for job, figure in pairs if not math.isfinite(figure))
        return dict(Counter("nan" if state == "success" else state for state in states))

    def by_seed(self) -> dict[str, float]:
        """Mean figure of each seed that has one."""
        found: dict[str, list[float]] = {}
        for job, figure in zip(self.jobs, self.figures, strict=True):
            if math.isfinite(figure):
                found.setdefault(job.seed, []).append(figure)
        return {seed: statistics.fmean(figures) for seed, figures in found.items()}


@dataclass
class Table:
    """What a sweep found.

    Attributes:
        metric: The figure that rows are about.
        parameters: Keys that vary, in the order in which they were given.
        rows: One for each combination, references first.
        jobs: All jobs, also those without a figure.
        lower_is_better: Whether small figures are good ones.
    """

    metric: str
    parameters: list[str]
    rows: list[Row]
    jobs: list[SweepJob] = field(default_factory=list)
    lower_is_better: bool = False


def make_table(jobs: Sequence[SweepJob], *, metric: str | None = None) -> Table:
    """Puts the jobs of one or several sweeps into rows.

    Args:
        jobs: From `read_sweep`.
        metric: Name of a figure, or `score` for what training returned; without it `test/frame/auroc` where a job
            has it, else `score`.

    Raises:
        UserError: There are no jobs, or none has that figure.
    """
    if not jobs:
        raise UserError("there are no jobs; a folder of a sweep is expected, with a folder for each of its jobs")
    names = metric_names(jobs)
    if metric is None:
        metric = PREFERRED if PREFERRED in names else SCORE
    elif any(job.status == "success" for job in jobs):
        require_choice("metric", metric, names)
    parameters = varying(jobs)
    rows: dict[tuple[Value, ...], list[SweepJob]] = {}
    for job in jobs:
        rows.setdefault(tuple(_value(job, key) for key in parameters), []).append(job)
    lower = _lower_is_better(metric, jobs)
    made = [
        Row(dict(zip(parameters, values, strict=True)), row, [job.figure(metric) for job in row])
        for values, row in rows.items()
    ]
    _compare(made, lower_is_better=lower)
    return Table(metric, parameters, sorted(made, key=_order), list(jobs), lower_is_better=lower)


def metric_names(jobs: Sequence[SweepJob]) -> list[str]:
    """Names of all figures that jobs have."""
    return [*sorted({name for job in jobs if job.result for name in job.result.figures}), SCORE]


def varying(jobs: Sequence[SweepJob]) -> list[str]:
    """Keys that were given and differ between jobs; `sweep` only where nothing else tells two jobs apart."""
    given = dict.fromkeys(key for job in jobs for key in job.overrides if key not in APART)
    keys = [key for key in given if len({job.value(key) for job in jobs}) > 1]
    seen: dict[tuple[Value, ...], str] = {}
    for job in jobs:
        place = (*(job.value(key) for key in keys), job.seed)
        if seen.setdefault(place, job.sweep) != job.sweep:
            return [*keys, SWEEP]
    return keys


def _value(job: SweepJob, key: str) -> Value:
    return job.sweep if key == SWEEP else job.value(key)


def _order(row: Row) -> tuple[object, ...]:
    """References first; then numbers by size, names as they came."""
    numbers = (value if isinstance(value, float) else 0.0 for value in row.parameters.values())
    return (not row.is_reference, *numbers)


def _compare(rows: list[Row], *, lower_is_better: bool) -> None:
    """Fills in references and differences where `ablation` varies."""
    places = {tuple(row.parameters.items()): row for row in rows}
    for row in rows:
        if ABLATION not in row.parameters:
            continue
        name = _reference(row.jobs)
        if row.parameters[ABLATION] == name:
            row.is_reference = True
            continue
        row.reference = name
        reference = places.get(tuple((row.parameters | {ABLATION: name}).items()))
        if reference is not None:
            row.difference = paired(row.by_seed(), reference.by_seed(), lower_is_better=lower_is_better)


def paired(figures: dict[str, float], reference: dict[str, float], *, lower_is_better: bool) -> Difference | None:
    """Mean and sample standard deviation of differences between equal seeds.

    Example:
        >>> paired({"0": 0.5, "1": 0.75}, {"0": 0.25, "1": 0.5, "2": 0.9}, lower_is_better=False)
        Difference(mean=0.25, sd=0.0, better=2, seeds=2)
    """
    both = [figures[seed] - reference[seed] for seed in figures if seed in reference]
    if not both:
        return None
    sd = statistics.stdev(both) if len(both) > 1 else math.nan
    better = sum((difference < 0) if lower_is_better else (difference > 0) for difference in both)
    return Difference(statistics.fmean(both), sd, better, len(both))


def _reference(jobs: list[SweepJob]) -> str:
    names = (job.value("compare_to") for job in jobs)
    return str(next((name for name in names if name != MISSING), "base"))


def _lower_is_better(metric: str, jobs: Sequence[SweepJob]) -> bool:
    if metric != SCORE:
        return metric.rsplit("/", maxsplit=1)[-1] in LOWER_IS_BETTER
    return any(OmegaConf.select(job.config, "callbacks.best.mode") == "min" for job in jobs)
