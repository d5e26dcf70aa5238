"""The cross-data-set table of a sweep: a row per training data set, a column per test data set."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from addnet.sweeps.jobs import MISSING, SCORE, SweepJob, value_text
from addnet.sweeps.table import LEVEL, SweepRow, SweepTable, values_by_seed

# the parameters that determine the training data
TRAINED_ON = ("data", "data.train", "data.data_dir", "data.layout", "data.options", "data.index")
_PARTS = 4  # of test/DATA SET/frame/auroc


def crossed(table: SweepTable) -> list[list[str]]:
    """Returns the header and the rows of the table as texts: means over seeds.

    The values are test metrics, which compare settings named beforehand. Data sets are sorted by name; the last column
    is the mean over them, for rows that have a value for each. Empty if the training data doesn't vary, or if there
    are fewer than two test data sets.
    """
    if not set(table.parameters) & set(TRAINED_ON):
        return []
    metric = LEVEL if table.metric == SCORE else "/".join(table.metric.split("/")[-2:])
    sets = _tested(table.jobs, metric)
    if len(sets) < 2:
        return []
    head = [*table.parameters, *sets, "mean"]
    return [head, *(_row(row, [f"test/{name}/{metric}" for name in sets]) for row in table.rows)]


def _tested(jobs: Sequence[SweepJob], metric: str) -> list[str]:
    names = {name for job in jobs if job.result for name in job.result.metrics}
    parts = [name.split("/") for name in names if name.startswith("test/") and name.endswith(f"/{metric}")]
    return sorted("/".join(part[1:-2]) for part in parts if len(part) >= _PARTS)


def _row(row: SweepRow, metrics: Sequence[str]) -> list[str]:
    by_set = [list(values_by_seed(row.jobs, metric).values()) for metric in metrics]
    means = [statistics.fmean(values) if values else None for values in by_set]
    known = [mean for mean in means if mean is not None]
    average = statistics.fmean(known) if len(known) == len(means) else None
    cells = [MISSING if mean is None else f"{mean:.4f}" for mean in (*means, average)]
    return [*map(value_text, row.parameters.values()), *cells]
