"""Loggers, and figures and texts for whichever of them are in use."""

from addnet.training.loggers.comet import CometLogger
from addnet.training.loggers.records import close_loggers, log_confusion_matrix, log_figure, log_text

__all__ = ["CometLogger", "close_loggers", "log_confusion_matrix", "log_figure", "log_text"]
