"""Writes plots, texts and matrices to the run folder and to every logger that accepts them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from addnet.training.loggers.forgiving import attempt
from addnet.training.loggers.kinds import kind_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def log_plot(trainer: pl.Trainer, name: str, figure: Figure) -> Path | None:
    """Saves a plot as `plots/<name>.png` in the run folder and passes it to the loggers; on rank 0 only."""
    if not trainer.is_global_zero:
        return None
    path = Path(trainer.default_root_dir, "plots", f"{name}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    for logger in trainer.loggers:
        attempt(logger, kind_of(logger).image, logger, name, path, step=trainer.global_step)
    return path


def log_text(trainer: pl.Trainer, name: str, text: str) -> Path | None:
    """Saves a text as `reports/<name>` in the run folder and passes it to the loggers; on rank 0 only."""
    if not trainer.is_global_zero:
        return None
    path = Path(trainer.default_root_dir, "reports", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    for logger in trainer.loggers:
        attempt(logger, kind_of(logger).text, logger, path, step=trainer.global_step)
    return path


def log_confusion_matrix(trainer: pl.Trainer, name: str, matrix: Sequence[Sequence[int]], labels: list[str]) -> None:
    """Hands counts to loggers that have a view for them; the plot goes through `log_plot`."""
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        attempt(logger, kind_of(logger).matrix, logger, name, matrix, labels, step=trainer.global_step)


def log_results(trainer: pl.Trainer, settings: Mapping[str, Any], metrics: dict[str, float]) -> None:
    """Hands settings and last metrics to loggers with a table that needs both at once; on rank 0 only."""
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        attempt(logger, kind_of(logger).results, logger, settings, metrics, step=trainer.global_step)


def loggers_state(loggers: Sequence[Logger]) -> dict[str, Any]:
    """How far the loggers have come that a resumed run continues, by class name."""
    states = {type(logger).__name__: attempt(logger, kind_of(logger).state, logger) for logger in loggers}
    return {name: state for name, state in states.items() if state}


def known_state(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """The part of a logger's state in a checkpoint that a resumed run builds it with.

    It becomes part of a config, where a `_target_` from an untrusted checkpoint would be called. Therefore only the
    known keys of the loggers' `state` are accepted, each with a value of the right type.

    Args:
        state: State of one logger from `loggers_state`; None if there is none.
    """
    given = state or {}
    known: dict[str, Any] = {}
    if isinstance(key := given.get("key"), str) and re.fullmatch(r"\w{1,64}", key):
        known["key"] = key
    if isinstance(rows := given.get("rows"), int):
        known["rows"] = rows
    return known


def close_loggers(loggers: Sequence[Logger], *, status: str, checkpoint: str = "") -> None:
    """Closes every logger; a logger that fails to close must not hide how the run ended.

    Args:
        loggers: All loggers of the run.
        status: How the run ended.
        checkpoint: Path of the best checkpoint, for loggers that upload it; empty if there is none.
    """
    for logger in loggers:
        attempt(logger, logger.finalize, status)
        attempt(logger, kind_of(logger).end, logger, status, checkpoint)
