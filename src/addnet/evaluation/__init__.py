"""Scores → figures and tables."""

from addnet.evaluation.metrics import (
    Scores,
    binary_metrics,
    by_video,
    classification_report,
    confusion_matrix,
)

__all__ = ["Scores", "binary_metrics", "by_video", "classification_report", "confusion_matrix"]
