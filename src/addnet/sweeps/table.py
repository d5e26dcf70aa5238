"""Jobs → a table with one row per combination of parameters, over the same seeds.

The rows of a search are ranked by a validation metric, and a test metric is reported only for the row ranked first.
Ablations are compared with a reference that was named beforehand, by a test metric; for methods that are held out one
by one, a test metric is reported for each. No setting is chosen by a test metric.
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
# not parameters: the seed, the sweep's name, the checkpoint a job continued from, the reference, the metric
APART = ("seed", SWEEP, "ckpt_path", "compare_to", "sweep_metric")


@dataclass
class SweepRow:
    """All jobs with the same parameters.

    Attributes:
        parameters: Values by key, for the keys that vary.
        jobs: One or more jobs per seed.
        metric: Name of the metric.
        over: The seeds that its mean is over: those of the comparison, or its own if it lacks one of them.
        is_compared: Whether it has all seeds of the comparison.
        rank: Rank by validation, from 1; None if rows aren't ranked.
        reference: Name of the ablation that it is compared with; empty without ablations, or for the reference itself.
        is_reference: Whether it is the reference of other rows.
        difference: Difference to the reference over their common seeds; None if there are none.
        corrected: The p-value of the difference, corrected for the number of comparisons; NaN if there is none.
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
        """The values that its mean is over, one per seed."""
        return [self.by_seed[seed] for seed in self.over]

    @property
    def mean(self) -> float:
        """Mean over the seeds in `over`; NaN if there are none."""
        return statistics.fmean(self.finite) if self.finite else math.nan

    @property
    def sd(self) -> float:
        """Sample standard deviation over seeds; NaN for fewer than two."""
        return statistics.stdev(self.finite) if len(self.finite) > 1 else math.nan

    @property
    def seeds(self) -> list[str]:
        """The seeds of its jobs, each once."""
        return list(dict.fromkeys(job.seed for job in self.jobs))

    @cached_property
    def by_seed(self) -> dict[str, float]:
        """Values by seed, for the seeds that have one; several runs with the same seed count once, with their mean."""
        return values_by_seed(self.jobs, self.metric)

    @property
    def lacking(self) -> dict[str, int]:
        """Number of seeds without a value, by the status of their job; `nan` for a successful job without one."""
        states = {job.seed: "nan" if job.status == "success" else job.status for job in self.jobs}
        return dict(Counter(state for seed, state in states.items() if seed not in self.by_seed))


@dataclass
class SweepTable:
    """The results of a sweep.

    Attributes:
        metric: Name of the metric that rows are ranked or compared by.
        parameters: Keys that vary, in the order in which they were given.
        rows: One row per combination of parameters, references first.
        jobs: All jobs, including those without a value.
        lower_is_better: Whether lower values of the metric are better.
        seeds: The seeds over which rows are compared.
        test_metric: Name of the test metric that is reported for the chosen row; empty if there is none, or if rows
            aren't ranked.
        test: The test metric of the chosen row; None if there is none.
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
        """The best row by validation, or the only one; None if no row is chosen."""
        return next((row for row in self.rows if row.rank == 1), None)

    @property
    def compares(self) -> bool:
        """Whether rows are compared with a reference."""
        return ABLATION in self.parameters

    @property
    def ranks(self) -> bool:
        """Whether rows are ranked, so that one is chosen."""
        return not self.compares and HELD not in self.parameters

    @property
    def comparisons(self) -> list[SweepRow]:
        """The rows that are compared with a reference."""
        return [row for row in self.rows if row.difference is not None]


def make_table(jobs: Sequence[SweepJob], *, metric: str | None = None) -> SweepTable:
    """Groups the jobs of one or more sweeps into rows.

    Args:
        jobs: Jobs from `read_sweep`.
        metric: Name of a metric, or `score` for the value that training returned. For ablations and held-out methods
            it is the metric that is reported; default: `test/frame/auroc`. For other sweeps, a test metric is
            reported for the chosen row, and rows are ranked by the same metric on validation; by default they are
            ranked by the metric that chose the best checkpoint.

    Raises:
        UserError: There are no jobs, or no job has this metric.
    """
    if not jobs:
        raise UserError("there are no jobs; give the folder of a sweep, which has a folder for each job")
    names = metric_names(jobs)
    if metric is not None and any(job.status == "success" for job in jobs):
        require_choice("metric", metric, names)
    parameters = varying(jobs)
    reported = f"test/{LEVEL}" if metric is None else metric
    if ABLATION in parameters or HELD in parameters:
        metric, test_metric = reported if reported in names or metric else SCORE, ""
    else:
        own = _chosen_by(jobs, names) if metric is None else ""
        metric, test_metric = own or _ranked_by(reported, names), _on_test(reported, names)
    groups: dict[tuple[Value, ...], list[SweepJob]] = {}  # values of the parameters → jobs
    for job in jobs:
        groups.setdefault(tuple(_value(job, key) for key in parameters), []).append(job)
    rows = [SweepRow(dict(zip(parameters, values, strict=True)), row, metric) for values, row in groups.items()]
    table = SweepTable(metric, parameters, rows, list(jobs), _lower_is_better(metric, jobs), test_metric=test_metric)
    table.seeds = _compared_by(rows)
    if table.compares:
        _compare(table)
    elif table.ranks:
        _rank(table)
    table.rows.sort(key=_order)
    return table


def metric_names(jobs: Sequence[SweepJob]) -> list[str]:
    """Returns the names of all metrics that jobs have, and `score`."""
    return [*sorted({name for job in jobs if job.result for name in job.result.metrics}), SCORE]


def varying(jobs: Sequence[SweepJob]) -> list[str]:
    """Returns the overridden keys whose values differ, and `sweep` if nothing else distinguishes two jobs."""
    given = dict.fromkeys(key for job in jobs for key in job.overrides if key not in APART)
    keys = [key for key in given if len({job.value(key) for job in jobs}) > 1]
    seen: dict[tuple[Value, ...], str] = {}
    for job in jobs:
        place = (*(job.value(key) for key in keys), job.seed)
        if seen.setdefault(place, job.sweep) != job.sweep:
            return [*keys, SWEEP]
    return keys


def values_by_seed(jobs: Iterable[SweepJob], metric: str) -> dict[str, float]:
    """Returns a metric by seed, as the mean over the jobs of the seed, for seeds that have a value."""
    by_seed: dict[str, list[float]] = {}
    for job in jobs:
        if math.isfinite(value := job.metric(metric)):
            by_seed.setdefault(job.seed, []).append(value)
    return {seed: statistics.fmean(values) for seed, values in by_seed.items()}


def estimate(jobs: Sequence[SweepJob], metric: str, seeds: Sequence[str]) -> Estimate | None:
    """Estimates a metric over seeds, including the sampling of test videos if recorded; None without a value."""
    values = values_by_seed(jobs, metric)
    kept = [seed for seed in seeds if seed in values]
    if not kept:
        return None
    return Estimate.of([values[seed] for seed in kept], sampling_variance(jobs, metric, kept))


def paired(jobs: Sequence[SweepJob], reference: Sequence[SweepJob], metric: str) -> Estimate | None:
    """Estimates the difference between runs with the same seeds; None if no seed has a value in both."""
    ours, theirs = values_by_seed(jobs, metric), values_by_seed(reference, metric)
    both = [seed for seed in ours if seed in theirs]
    if not both:
        return None
    sampling = sampling_variance(jobs, metric, both, minus=reference)
    return Estimate.of([ours[seed] - theirs[seed] for seed in both], sampling)


def _chosen_by(jobs: Sequence[SweepJob], names: Sequence[str]) -> str:
    """Returns the metric that chose the best checkpoints; empty if it differs between jobs or no job has it."""
    monitors = {str(OmegaConf.select(job.config, "callbacks.best.monitor")) for job in jobs if job.result}
    return next(iter(monitors & set(names)), "") if len(monitors) == 1 else ""


def _ranked_by(reported: str, names: Sequence[str]) -> str:
    """Returns the validation metric that corresponds to a test metric, or `score` if there is none."""
    if not reported.startswith("test/"):
        return reported
    wanted = "/".join(["val", *reported.split("/")[-2:]])
    return wanted if wanted in names else SCORE


def _on_test(reported: str, names: Sequence[str]) -> str:
    """Returns the test metric that corresponds to a metric; empty if no job has it."""
    name = f"test/{LEVEL}" if reported == SCORE else reported
    if not name.startswith("test/"):
        name = name.replace("val/", "test/", 1)
    return name if name in names and name.startswith("test/") else ""


def _compared_by(rows: Sequence[SweepRow]) -> tuple[str, ...]:
    """Chooses the seeds over which rows are compared, and sets `over` and `is_compared` of each row accordingly.

    The choice keeps as many values as possible comparable. A row that lacks one of the seeds isn't ranked.
    """
    kept = [frozenset(row.by_seed) for row in rows if row.by_seed]
    candidates = {*kept, frozenset.intersection(*kept)} if kept else set()
    # candidate set of seeds → number of rows that have all of them; the best keeps the most rows × seeds
    size = {seeds: sum(seeds <= other for other in kept) for seeds in candidates if seeds}
    best = max(size, key=lambda seeds: (size[seeds] * len(seeds), size[seeds], sorted(seeds)), default=frozenset())
    for row in rows:
        row.is_compared = bool(best) and best <= row.by_seed.keys()
        row.over = tuple(seed for seed in row.by_seed if seed in best or not row.is_compared)
    return tuple(sorted(best, key=lambda seed: (len(seed), seed)))


def _rank(table: SweepTable) -> None:
    """Ranks the rows that have all seeds; equal rows share a rank, and the first of them is chosen."""
    rows = [row for row in table.rows if row.is_compared]
    means = sorted((row.mean for row in rows), reverse=not table.lower_is_better)
    for row in rows:
        row.rank = means.index(row.mean) + 1
    if table.chosen and table.test_metric:
        table.test = estimate(table.chosen.jobs, table.test_metric, table.chosen.over)


def _compare(table: SweepTable) -> None:
    """Sets the reference and the difference of each row in a table of ablations."""
    by_parameters = {tuple(row.parameters.items()): row for row in table.rows}
    for row in table.rows:
        name = _reference(row.jobs)
        if row.parameters[ABLATION] == name:
            row.is_reference = True
            continue
        row.reference = name
        reference = by_parameters.get(tuple((row.parameters | {ABLATION: name}).items()))
        if reference is not None:
            row.difference = paired(row.jobs, reference.jobs, table.metric)
    for row, p in zip(table.comparisons, holm([_p_value(row) for row in table.comparisons]), strict=True):
        row.corrected = p


def _p_value(row: SweepRow) -> float:
    return math.nan if row.difference is None else row.difference.p_value()


def _value(job: SweepJob, key: str) -> Value:
    return job.sweep if key == SWEEP else job.value(key)


def _order(row: SweepRow) -> tuple[object, ...]:
    """Sort key: references first, then numbers by size; names keep their order."""
    numbers = (value if isinstance(value, float) else 0.0 for value in row.parameters.values())
    return (not row.is_reference, *numbers)


def _reference(jobs: list[SweepJob]) -> str:
    names = (job.value("compare_to") for job in jobs)
    return str(next((name for name in names if name != MISSING), "base"))


def _lower_is_better(metric: str, jobs: Sequence[SweepJob]) -> bool:
    if metric != SCORE:
        return metric.rsplit("/", maxsplit=1)[-1] in LOWER_IS_BETTER
    return any(OmegaConf.select(job.config, "callbacks.best.mode") == "min" for job in jobs)
