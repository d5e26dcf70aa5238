"""Writes and reads the bootstrap resamples of a run's test metrics, and its test scores.

All runs on the same test set use the same resamples, so that the difference between two runs is a paired one. The
scores themselves are kept for tables that are made later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from addnet.sweeps.jobs import SweepJob

FILE = "reports/test_draws.npz"
SCORES = "reports/test_scores.parquet"


def write_draws(run_dir: Path, draws: Mapping[str, NDArray[np.float64]]) -> Path:
    """Writes the resamples of each metric into a run folder: (R,), NaN where the metric is undefined."""
    file = run_dir / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, allow_pickle=False, **{name: values.astype(np.float32) for name, values in draws.items()})
    return file


def write_scores(run_dir: Path, scores: NDArray[np.float64], labels: NDArray[np.int64], sources: Sequence[str]) -> Path:
    """Writes the scores of a test into a run folder, one row per image, in the order of the test set.

    Args:
        run_dir: The run folder.
        scores: (N,) probabilities of fake.
        labels: (N,) 0 real, 1 fake.
        sources: N names; the group that each image belongs to, such as its source video.
    """
    file = run_dir / SCORES
    file.parent.mkdir(parents=True, exist_ok=True)
    names = pa.array(list(sources), pa.string()).dictionary_encode()
    columns = {"source": names, "label": pa.array(labels, pa.int8()), "score": pa.array(scores, pa.float64())}
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file


def read_draws(run_dir: Path, metric: str) -> NDArray[np.float64] | None:
    """Returns the resamples of one metric of a run, shape (R,); None if the run has recorded none."""
    try:
        with np.load(run_dir / FILE, allow_pickle=False) as kept:
            return np.asarray(kept[metric], dtype=np.float64) if metric in kept else None
    except (FileNotFoundError, BadZipFile, ValueError):
        return None


def sampling_variance(
    jobs: Sequence[SweepJob], metric: str, seeds: Sequence[str], *, minus: Sequence[SweepJob] = ()
) -> float:
    """Returns the variance, over resampled test videos, of a mean over seeds or of its difference to other jobs.

    Args:
        jobs: The jobs whose mean is taken.
        metric: Name of a test metric.
        seeds: The seeds that the mean is over.
        minus: Jobs whose mean is subtracted in each resample.

    Returns:
        The variance; NaN if a job has recorded no resamples, or not as many as the others.
    """
    ours, theirs = _mean_draws(jobs, metric, seeds), _mean_draws(minus, metric, seeds) if minus else 0.0
    if ours is None or theirs is None or np.shape(theirs) not in ((), np.shape(ours)):
        return math.nan
    finite = (ours - theirs)[np.isfinite(ours - theirs)]
    return float(np.var(finite, ddof=1)) if len(finite) > 1 else math.nan


def _mean_draws(jobs: Sequence[SweepJob], metric: str, seeds: Sequence[str]) -> NDArray[np.float64] | None:
    """Returns the mean over seeds of the mean over each seed's jobs, resample by resample: (R,)."""
    means = []  # for each seed, the mean over its jobs in each resample: (R,)
    for seed in seeds:
        recorded = [
            read_draws(job.folder, metric) for job in jobs if job.seed == seed and math.isfinite(job.metric(metric))
        ]
        kept = [draws for draws in recorded if draws is not None]
        if not kept or len(kept) < len(recorded) or len({draws.shape for draws in kept}) > 1:
            return None
        means.append(np.mean(kept, axis=0))
    return np.asarray(np.mean(means, axis=0)) if len({mean.shape for mean in means}) == 1 else None
