"""Loggers, and functions that send plots and texts to those in use."""

from addnet.training.loggers.comet import CometLogger
from addnet.training.loggers.csv import CSVLogger
from addnet.training.loggers.records import (
    close_loggers,
    known_state,
    log_confusion_matrix,
    log_plot,
    log_text,
    loggers_state,
)

__all__ = [
    "CSVLogger",
    "CometLogger",
    "close_loggers",
    "known_state",
    "log_confusion_matrix",
    "log_plot",
    "log_text",
    "loggers_state",
]
