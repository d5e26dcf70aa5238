"""Many independent tasks on all cores, whatever happens to the processes that do them."""

from addnet.pool.call import call_within
from addnet.pool.job import Job
from addnet.pool.loop import cores, drive, run_local
from addnet.pool.order import in_order
from addnet.pool.processes import ProcessExecutor
from addnet.pool.stream import streamed, streamed_within
from addnet.pool.streams import Stream, streams

__all__ = [
    "Job",
    "ProcessExecutor",
    "Stream",
    "call_within",
    "cores",
    "drive",
    "in_order",
    "run_local",
    "streamed",
    "streamed_within",
    "streams",
]
