"""Scores → figures and tables."""

from addnet.evaluation.assess import assess
from addnet.evaluation.calibration import calibrated, choose_threshold, fit_temperature
from addnet.evaluation.decision import Decision, decide
from addnet.evaluation.metrics import (
    Scores,
    binary_metrics,
    by_video,
    classification_report,
    confusion_matrix,
)
from addnet.evaluation.scored import ScoredSet

__all__ = [
    "Decision",
    "ScoredSet",
    "Scores",
    "assess",
    "binary_metrics",
    "by_video",
    "calibrated",
    "choose_threshold",
    "classification_report",
    "confusion_matrix",
    "decide",
    "fit_temperature",
]
