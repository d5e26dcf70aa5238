"""Many independent tasks on all cores, whatever happens to the processes that do them."""

from addnet.pool.job import Job
from addnet.pool.loop import cores, drive, run_local

__all__ = ["Job", "cores", "drive", "run_local"]
