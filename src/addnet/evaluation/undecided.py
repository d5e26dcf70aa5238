"""What it costs to answer always: how often verdicts are wrong, by how many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.calibration import logit
from addnet.evaluation.decision import Decision
from addnet.evaluation.scored import ScoredSet

SHARES = tuple(np.linspace(0.1, 1.0, 10).round(1).tolist())


def errors_of_surest(scored: ScoredSet, decision: Decision) -> NDArray[np.float64]:
    """(N,) the share of wrong verdicts among the row that is surest, the two that are, …, all of them.

    Sure is what lies far from the threshold, in log odds where scores are probabilities; with two thresholds, far from
    the middle between them. Rows that are equally sure come in the order of their scores.

    Args:
        scored: At any level.
        decision: With a threshold.
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
    """Plain values: errors at `SHARES` of rows with a verdict, and what the thresholds of the checkpoint decide.

    Returns:
        "curve": each {"share", "errors"}; "decided": the same of what the thresholds decide, and "count"; errors are
        None where nothing is.
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
