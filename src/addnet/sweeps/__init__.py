"""Sweeps: the result of each job, a table and a plot of all jobs, and resuming after an interruption."""

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.sweeps.jobs import SweepJob, read_sweep
    from addnet.sweeps.results import Result, read_result, write_result
    from addnet.sweeps.summary import write_summary
    from addnet.sweeps.table import SweepTable, make_table

__all__ = [
    "Result",
    "SweepJob",
    "SweepTable",
    "make_table",
    "read_result",
    "read_sweep",
    "write_result",
    "write_summary",
]

# commands that run no sweep don't need to import these
__getattr__, __dir__ = late(
    __name__,
    {
        "Result": "results",
        "SweepJob": "jobs",
        "SweepTable": "table",
        "make_table": "table",
        "read_result": "results",
        "read_sweep": "jobs",
        "write_result": "results",
        "write_summary": "summary",
    },
)
