"""Jobs → one row for each combination of parameters, over the same seeds.

A sweep that searches is ranked by validation, and test is told for the row that validation chose. Ablations are
compared with the reference that was named beforehand, on test, and so are methods that were held back one by one told;
nothing is chosen by it.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from omegaconf import OmegaConf

from addnet.errors import UserError, require_choice
from addnet.evaluation.table import TABLE as METRICS
from addnet.sweeps.draws import sampling_variance
from addnet.sweeps.intervals import Estimate, holm
from addnet.sweeps.jobs import MISSING, SCORE, SweepJob, Value

LEVEL = "frame/auroc"
ABLATION = "ablation"
HELD = "data.held_method"
SWEEP = "sweep"
LOWER_IS_BETTER = ("loss", *(name for name, metric in METRICS.items() if not metric.higher_is_better))
# no parameters: what is averaged over, the sweep's own name, where a job went on from, what a row is compared to
APART = ("seed", SWEEP, "ckpt_path", "compare_to", "sweep_metric")


@dataclass
class SweepRow:
    """All jobs with the same parameters.

    Attributes:
        parameters: Value by key, for the keys that vary.
        jobs: One for each seed, or more.
        metric: The metric that the row is about.
        over: The seeds that its mean is over; where it lacks one of those that rows are compared by, its own.
        is_compared: Whether it has all seeds that rows are compared by.
        rank: By validation, from 1; None where nothing is ranked.
        reference: The row's ablation to compare to; empty where there is no ablation or it is the reference itself.
        difference: To that reference, over the seeds of both; None where they have none in common.
        corrected: The p-value of the difference, corrected for the number of comparisons; NaN where there is none.
    """

    parameters: dict[str, Value]
    jobs: list[SweepJob]
    metric: str
    over: tuple[str, ...] = ()
    is_compared: bool = True
    rank: int | None = None
    reference: str = ""
    is_reference: bool = False
    difference: Estimate | None = None
    corrected: float = math.nan

    @property
    def finite(self) -> list[float]:
        """The values that its mean is over, one a seed."""
        return [self.by_seed[seed] for seed in self.over]

    @property
    def mean(self) -> float:
        """Mean over `over`; NaN if there is none."""
        return statistics.fmean(self.finite) if self.finite else math.nan

    @property
    def sd(self) -> float:
        """Sample standard deviation over seeds; NaN for fewer than two."""
        return statistics.stdev(self.finite) if len(self.finite) > 1 else math.nan

    @property
    def seeds(self) -> list[str]:
        """Those that were ordered, each once."""
        return list(dict.fromkeys(job.seed for job in self.jobs))

    @cached_property
    def by_seed(self) -> dict[str, float]:
        """The value of each seed that has one; runs of one seed with the same settings are one, their mean."""
        return values_by_seed(self.jobs, self.metric)

    @property
    def lacking(self) -> dict[str, int]:
        """How many seeds have no value, by the status of their job; `nan` where a successful one has none."""
        states = {job.seed: "nan" if job.status == "success" else job.status for job in self.jobs}
        return dict(Counter(state for seed, state in states.items() if seed not in self.by_seed))


@dataclass
class SweepTable:
    """What a sweep found.

    Attributes:
        metric: The metric that rows are about.
        parameters: Keys that vary, in the order in which they were given.
        rows: One for each combination, references first.
        jobs: All jobs, also those without a value.
        lower_is_better: Whether small values are good ones.
        seeds: Those that rows are compared by.
        test_metric: Told for the chosen row alone; empty where there is none, or where ablations are compared.
        test: That metric of the chosen row; None where there is none.
    """

    metric: str
    parameters: list[str]
    rows: list[SweepRow]
    jobs: list[SweepJob] = field(default_factory=list)
    lower_is_better: bool = False
    seeds: tuple[str, ...] = ()
    test_metric: str = ""
    test: Estimate | None = None

    @property
    def chosen(self) -> SweepRow | None:
        """The best row by validation, or the only one; None where nothing is chosen."""
        return next((row for row in self.rows if row.rank == 1), None)

    @property
    def compares(self) -> bool:
        """Whether rows are compared with a reference."""
        return ABLATION in self.parameters

    @property
    def ranks(self) -> bool:
        """Whether one of several rows is to be chosen."""
        return not self.compares and HELD not in self.parameters

    @property
    def comparisons(self) -> list[SweepRow]:
        """The rows that are compared with a reference."""
        return [row for row in self.rows if row.difference is not None]


def make_table(jobs: Sequence[SweepJob], *, metric: str | None = None) -> SweepTable:
    """Puts the jobs of one or several sweeps into rows.

    Args:
        jobs: From `read_sweep`.
        metric: Name of a metric, or `score` for what training returned. Of ablations, and of methods that were held
            back, it is what is told, without it `test/frame/auroc`. Of other sweeps a test metric is told for the
            chosen row, and rows are ranked by the same metric of validation; without it, by the one that the best
            checkpoint is chosen by.

    Raises:
        UserError: There are no jobs, or none has that metric.
    """
    if not jobs:
        raise UserError("there are no jobs; a folder of a sweep is expected, with a folder for each of its jobs")
    names = metric_names(jobs)
    if metric is not None and any(job.status == "success" for job in jobs):
        require_choice("metric", metric, names)
    parameters = varying(jobs)
    told = f"test/{LEVEL}" if metric is None else metric
    if ABLATION in parameters or HELD in parameters:
        metric, test_metric = told if told in names or metric else SCORE, ""
    else:
        own = _chosen_by(jobs, names) if metric is None else ""
        metric, test_metric = own or _ranked_by(told, names), _on_test(told, names)
    places: dict[tuple[Value, ...], list[SweepJob]] = {}
    for job in jobs:
        places.setdefault(tuple(_value(job, key) for key in parameters), []).append(job)
    rows = [SweepRow(dict(zip(parameters, values, strict=True)), row, metric) for values, row in places.items()]
    table = SweepTable(metric, parameters, rows, list(jobs), _lower_is_better(metric, jobs), test_metric=test_metric)
    table.seeds = _compared_by(rows)
    if table.compares:
        _compare(table)
    elif table.ranks:
        _rank(table)
    table.rows.sort(key=_order)
    return table


def metric_names(jobs: Sequence[SweepJob]) -> list[str]:
    """Names of all metrics that jobs have."""
    return [*sorted({name for job in jobs if job.result for name in job.result.metrics}), SCORE]


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


def values_by_seed(jobs: Iterable[SweepJob], metric: str) -> dict[str, float]:
    """Mean of a metric over the jobs of each seed that has one."""
    found: dict[str, list[float]] = {}
    for job in jobs:
        if math.isfinite(value := job.metric(metric)):
            found.setdefault(job.seed, []).append(value)
    return {seed: statistics.fmean(values) for seed, values in found.items()}


def estimate(jobs: Sequence[SweepJob], metric: str, seeds: Sequence[str]) -> Estimate | None:
    """A metric over seeds, with the sampling of test videos where the jobs recorded it; None without a value."""
    values = values_by_seed(jobs, metric)
    kept = [seed for seed in seeds if seed in values]
    if not kept:
        return None
    return Estimate.of([values[seed] for seed in kept], sampling_variance(jobs, metric, kept))


def paired(jobs: Sequence[SweepJob], reference: Sequence[SweepJob], metric: str) -> Estimate | None:
    """Differences between runs with the same seed; None where no seed has a value in both."""
    ours, theirs = values_by_seed(jobs, metric), values_by_seed(reference, metric)
    both = [seed for seed in ours if seed in theirs]
    if not both:
        return None
    sampling = sampling_variance(jobs, metric, both, minus=reference)
    return Estimate.of([ours[seed] - theirs[seed] for seed in both], sampling)


def _chosen_by(jobs: Sequence[SweepJob], names: Sequence[str]) -> str:
    """What the best checkpoints were chosen by, if that is one metric and jobs have it; else empty."""
    monitors = {str(OmegaConf.select(job.config, "callbacks.best.monitor")) for job in jobs if job.result}
    return next(iter(monitors & set(names)), "") if len(monitors) == 1 else ""


def _ranked_by(told: str, names: Sequence[str]) -> str:
    """The metric of validation for one of test; what training returned where there is none."""
    if not told.startswith("test/"):
        return told
    wanted = "/".join(["val", *told.split("/")[-2:]])
    return wanted if wanted in names else SCORE


def _on_test(told: str, names: Sequence[str]) -> str:
    name = told if told.startswith("test/") else f"test/{LEVEL}" if told == SCORE else told.replace("val/", "test/", 1)
    return name if name in names and name.startswith("test/") else ""


def _compared_by(rows: Sequence[SweepRow]) -> tuple[str, ...]:
    """The seeds that rows are compared by: those that keep most values comparable. A row that lacks one isn't ranked.

    Sets the mean of each row to be over them.
    """
    kept = [frozenset(row.by_seed) for row in rows if row.by_seed]
    candidates = {*kept, frozenset.intersection(*kept)} if kept else set()
    size = {seeds: sum(seeds <= other for other in kept) for seeds in candidates if seeds}
    best = max(size, key=lambda seeds: (size[seeds] * len(seeds), size[seeds], sorted(seeds)), default=frozenset())
    for row in rows:
        row.is_compared = bool(best) and best <= row.by_seed.keys()
        row.over = tuple(seed for seed in row.by_seed if seed in best or not row.is_compared)
    return tuple(sorted(best, key=lambda seed: (len(seed), seed)))


def _rank(table: SweepTable) -> None:
    """Ranks the rows that have all seeds; equals share a rank, and the first of them is the chosen one."""
    rows = [row for row in table.rows if row.is_compared]
    means = sorted((row.mean for row in rows), reverse=not table.lower_is_better)
    for row in rows:
        row.rank = means.index(row.mean) + 1
    if table.chosen and table.test_metric:
        table.test = estimate(table.chosen.jobs, table.test_metric, table.chosen.over)


def _compare(table: SweepTable) -> None:
    """Fills in references and differences where `ablation` varies."""
    places = {tuple(row.parameters.items()): row for row in table.rows}
    for row in table.rows:
        name = _reference(row.jobs)
        if row.parameters[ABLATION] == name:
            row.is_reference = True
            continue
        row.reference = name
        reference = places.get(tuple((row.parameters | {ABLATION: name}).items()))
        if reference is not None:
            row.difference = paired(row.jobs, reference.jobs, table.metric)
    for row, p in zip(table.comparisons, holm([_p_value(row) for row in table.comparisons]), strict=True):
        row.corrected = p


def _p_value(row: SweepRow) -> float:
    return math.nan if row.difference is None else row.difference.p_value()


def _value(job: SweepJob, key: str) -> Value:
    return job.sweep if key == SWEEP else job.value(key)


def _order(row: SweepRow) -> tuple[object, ...]:
    """References first; then numbers by size, names as they came."""
    numbers = (value if isinstance(value, float) else 0.0 for value in row.parameters.values())
    return (not row.is_reference, *numbers)


def _reference(jobs: list[SweepJob]) -> str:
    names = (job.value("compare_to") for job in jobs)
    return str(next((name for name in names if name != MISSING), "base"))


def _lower_is_better(metric: str, jobs: Sequence[SweepJob]) -> bool:
    if metric != SCORE:
        return metric.rsplit("/", maxsplit=1)[-1] in LOWER_IS_BETTER
    return any(OmegaConf.select(job.config, "callbacks.best.mode") == "min" for job in jobs)
