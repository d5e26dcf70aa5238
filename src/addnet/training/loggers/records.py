"""Plots, texts and matrices to the run folder and to every logger that takes them."""

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
    """Saves a plot as `plots/<name>.png` of the run folder and hands it to the loggers; on rank 0 only."""
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
    """Saves a text as `reports/<name>` of the run folder and hands it to the loggers; on rank 0 only."""
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
    """Hands counts to Comet's own confusion matrix view; the plot goes through `log_plot`."""
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
    """The loggers in use; each kind has an interface of its own."""
    return list(trainer.loggers)


def loggers_state(loggers: Sequence[Logger]) -> dict[str, Any]:
    """How far the loggers have come that a resumed run continues, by class name."""
    return {type(logger).__name__: logger.state() for logger in loggers if isinstance(logger, (CometLogger, CSVLogger))}


def known_state(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """What of a logger's state in a checkpoint it is built with again.

    It becomes part of a config, where a stranger's `_target_` would be called: only what loggers
    give as their `state` is taken, each value of its kind.

    Args:
        state: Of one logger, as `loggers_state` gave it; None: there is none.
    """
    given = state or {}
    known: dict[str, Any] = {}
    if isinstance(key := given.get("key"), str) and re.fullmatch(r"\w{1,64}", key):
        known["key"] = key
    if isinstance(rows := given.get("rows"), int):
        known["rows"] = rows
    return known


def close_loggers(loggers: Sequence[Logger], *, status: str, checkpoint: str = "") -> None:
    """Ends every logger; a logger that fails to end must not hide how the run ended.

    Args:
        loggers: All of the run.
        status: How it ended.
        checkpoint: The best one, for a logger that was asked to take it; empty where there is none.
    """
    for logger in loggers:
        try:
            logger.finalize(status)
            if isinstance(logger, CometLogger):
                logger.close(checkpoint)
        except Exception:  # third-party code on a path that may already carry an exception
            log.exception("%s could not be closed", type(logger).__name__)
