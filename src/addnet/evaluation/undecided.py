"""Errors against coverage: how often verdicts are wrong, by the share of rows that get a verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.calibration import logit
from addnet.evaluation.decision import Decision
from addnet.evaluation.scored import ScoredSet

SHARES = tuple(np.linspace(0.1, 1.0, 10).round(1).tolist())


def errors_of_surest(scored: ScoredSet, decision: Decision) -> NDArray[np.float64]:
    """(N,) the share of wrong verdicts among the most confident row, the two most confident, …, all rows.

    Confidence is the distance from the threshold, in log odds if scores are probabilities; with two thresholds, from
    the middle between them. Equally confident rows are in the order of their scores.

    Args:
        scored: Scores at any level.
        decision: A decision with a threshold.
    """
    upper = decision.threshold
    ends = np.array([upper if decision.real_up_to is None else max(decision.real_up_to, 0.0), upper])
    scores = scored.probabilities
    if scored.is_probability:
        scores, ends = logit(scores), logit(ends)
    middle = float(ends.mean())
    wrong = (scores > middle) != (scored.labels == 1)
    order = np.lexsort((scores, -np.abs(scores - middle)))
    return np.asarray(np.cumsum(wrong[order]) / np.arange(1, len(order) + 1))


def undecided_numbers(scored: ScoredSet, decision: Decision) -> dict[str, Any]:
    """Error rates as plain values: at `SHARES` of rows with a verdict, and at the thresholds of the checkpoint.

    Returns:
        "curve": a list of {"share", "errors"}; "decided": share, errors and "count" of the rows that the thresholds
        decide; its errors are None if they decide none.
    """
    errors = errors_of_surest(scored, decision)
    at = [max(1, round(share * len(errors))) for share in SHARES]
    called = decision.called(scored.probabilities)
    decided = called >= 0
    wrong = int((called[decided] != scored.labels[decided]).sum())
    count = int(decided.sum())
    return {
        "curve": [
            {"share": share, "errors": float(errors[number - 1])} for share, number in zip(SHARES, at, strict=True)
        ],
        "decided": {"share": count / len(errors), "count": count, "errors": wrong / count if count else None},
    }
