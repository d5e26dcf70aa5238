"""Loggers, and functions that send plots and texts to those in use."""

from addnet.training.loggers.comet import CometLogger
from addnet.training.loggers.csv import CSVLogger
from addnet.training.loggers.forgiving import begun
from addnet.training.loggers.kinds import kind_of
from addnet.training.loggers.records import (
    close_loggers,
    known_state,
    log_confusion_matrix,
    log_plot,
    log_results,
    log_text,
    loggers_state,
)
from addnet.training.loggers.wandb import WandbLogger

__all__ = [
    "CSVLogger",
    "CometLogger",
    "WandbLogger",
    "begun",
    "close_loggers",
    "kind_of",
    "known_state",
    "log_confusion_matrix",
    "log_plot",
    "log_results",
    "log_text",
    "loggers_state",
]
