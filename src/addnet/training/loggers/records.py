"""Writes plots, texts and matrices to the run folder and to every logger that accepts them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from addnet.training.loggers.comet import CometLogger
from addnet.training.loggers.csv import CSVLogger

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


def log_plot(trainer: pl.Trainer, name: str, figure: Figure) -> Path | None:
    """Saves a plot as `plots/<name>.png` in the run folder and passes it to the loggers; on rank 0 only."""
    if not trainer.is_global_zero:
        return None
    path = Path(trainer.default_root_dir, "plots", f"{name}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    step = trainer.global_step
    for logger in _loggers(trainer):
        kind = type(logger).__name__
        if isinstance(logger, CometLogger):
            logger.keep(f"image {name}", "log_image", str(path), name=name, step=step)
        elif kind == "TensorBoardLogger":
            logger.experiment.add_figure(name, figure, global_step=step)
        elif kind == "WandbLogger":
            logger.log_image(key=name, images=[str(path)], step=step)
        elif kind == "MLFlowLogger":
            logger.experiment.log_artifact(logger.run_id, str(path), "plots")
    return path


def log_text(trainer: pl.Trainer, name: str, text: str) -> Path | None:
    """Saves a text as `reports/<name>` in the run folder and passes it to the loggers; on rank 0 only."""
    if not trainer.is_global_zero:
        return None
    path = Path(trainer.default_root_dir, "reports", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    for logger in _loggers(trainer):
        kind = type(logger).__name__
        if isinstance(logger, CometLogger):
            logger.keep(f"text {name}", "log_asset", str(path), file_name=name, step=trainer.global_step)
        elif kind == "TensorBoardLogger":
            logger.experiment.add_text(name, f"```\n{text}\n```", global_step=trainer.global_step)
        elif kind == "MLFlowLogger":
            logger.experiment.log_artifact(logger.run_id, str(path), "reports")
    return path


def log_confusion_matrix(trainer: pl.Trainer, name: str, matrix: Sequence[Sequence[int]], labels: list[str]) -> None:
    """Passes the counts to Comet's confusion matrix view; the plot is logged by `log_plot`."""
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        if isinstance(logger, CometLogger):
            logger.keep(
                f"matrix {name}",
                "log_confusion_matrix",
                matrix=[list(row) for row in matrix],
                labels=labels,
                title=name,
                file_name=f"{name}.json",
                step=trainer.global_step,
            )


def _loggers(trainer: pl.Trainer) -> list[Any]:
    """The loggers in use, untyped because each class has its own interface."""
    return list(trainer.loggers)


def loggers_state(loggers: Sequence[Logger]) -> dict[str, Any]:
    """The states of the loggers that a resumed run continues, by class name."""
    return {type(logger).__name__: logger.state() for logger in loggers if isinstance(logger, (CometLogger, CSVLogger))}


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
        try:
            logger.finalize(status)
            if isinstance(logger, CometLogger):
                logger.close(checkpoint)
        except Exception:  # third-party code on a path that may already carry an exception
            log.exception("%s could not be closed", type(logger).__name__)
