"""Sweeps: how each job ended, one table and one plot of all of them, and going on after an interruption."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from addnet.sweeps.jobs import SweepJob, read_sweep
    from addnet.sweeps.results import Result, read_result, write_result
    from addnet.sweeps.summary import write_summary
    from addnet.sweeps.table import Table, make_table

__all__ = ["Result", "SweepJob", "Table", "make_table", "read_result", "read_sweep", "write_result", "write_summary"]

_HOMES = {
    "Result": "results",
    "SweepJob": "jobs",
    "Table": "table",
    "make_table": "table",
    "read_result": "results",
    "read_sweep": "jobs",
    "write_result": "results",
    "write_summary": "summary",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for: a command that runs no sweep needs no table."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
