"""Scores → figures and tables."""

from addnet.evaluation.decision import Decision, decide
from addnet.evaluation.metrics import (
    Scores,
    binary_metrics,
    by_video,
    classification_report,
    confusion_matrix,
)

__all__ = [
    "Decision",
    "Scores",
    "binary_metrics",
    "by_video",
    "classification_report",
    "confusion_matrix",
    "decide",
]
