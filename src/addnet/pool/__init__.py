"""Runs many independent tasks on all cores and survives the death of worker processes."""

from addnet.pool.call import call_within
from addnet.pool.job import Outcome, PoolJob, work
from addnet.pool.loop import cores, drive, run_local
from addnet.pool.order import in_order
from addnet.pool.processes import ProcessExecutor, WorkerDiedError
from addnet.pool.streams import Stream, streams

__all__ = [
    "Outcome",
    "PoolJob",
    "ProcessExecutor",
    "Stream",
    "WorkerDiedError",
    "call_within",
    "cores",
    "drive",
    "in_order",
    "run_local",
    "streams",
    "work",
]
