"""Computes metrics and tables from scores.

Modules are imported on first use, since most of the arithmetic doesn't need torch.
"""

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.evaluation.assessment import assess
    from addnet.evaluation.calibration import calibrated, choose_thresholds, fit_temperature
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
    "choose_thresholds",
    "classification_report",
    "confusion_matrix",
    "decide",
    "fit_temperature",
]

__getattr__, __dir__ = late(
    __name__,
    {
        "Decision": "decision",
        "ScoredSet": "scored",
        "Scores": "metrics",
        "assess": "assessment",
        "binary_metrics": "metrics",
        "by_video": "metrics",
        "calibrated": "calibration",
        "choose_thresholds": "calibration",
        "classification_report": "metrics",
        "confusion_matrix": "metrics",
        "decide": "decision",
        "fit_temperature": "calibration",
    },
)
