"""What a checkpoint says it learnt from: how much of which data, and where it is wrong on its own validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from addnet.evaluation import Decision, Scores, by_video
from addnet.evaluation.decision import UNDECIDED
from addnet.index.records import FAKE, REAL, Records


def amounts(records: Records) -> list[dict[str, Any]]:
    """How much there is of each data set, as plain values.

    Args:
        records: Those of training, or those that checkpoints and thresholds are chosen on.

    Returns:
        Of each data set: its name `dataset`, which `split` of it this is by its own account (`val` also where it was
        carved out of its training images), images of each class `real` and `fake`, and `videos`.
    """
    datasets, splits, videos = (records.numbers(name) for name in ("dataset", "split", "video_id"))
    names = {name: records.names(name) for name in ("dataset", "split")}
    labels = np.asarray(records.labels)
    found = []
    for dataset, split in sorted(set(zip(datasets.tolist(), splits.tolist(), strict=True))):
        here = (datasets == dataset) & (splits == split)
        found.append(
            {
                "dataset": str(names["dataset"][dataset]),
                "split": str(names["split"][split]),
                "real": int((labels[here] == REAL).sum()),
                "fake": int((labels[here] == FAKE).sum()),
                "videos": len(np.unique(videos[here])),
            }
        )
    return found


def validation_errors(scores: Scores, decision: Mapping[str, Any] | None) -> dict[str, dict[str, int]]:
    """How often the thresholds that validation chose are wrong on that validation.

    Args:
        scores: Of validation.
        decision: From `decide`.

    Returns:
        Of images (`frame`) and videos (`video`): how many are `real` and `fake`, how many of these are
        `real_called_fake` and `fake_called_real`, and how many `real_undecided` and `fake_undecided`, if any can be.
        Empty without a decision.
    """
    errors = {}
    for level, rows in (("frame", scores), ("video", by_video(scores))):
        if not decision or level not in decision:
            continue
        of_level = Decision.of(decision, level)
        fake = rows.labels.cpu().numpy() == 1
        called = of_level.called(rows.probabilities.double().cpu().numpy())
        counts = {"real": ~fake, "real_called_fake": ~fake & (called == 1)}
        counts |= {"fake": fake, "fake_called_real": fake & (called == 0)}
        if of_level.real_up_to is not None:
            undecided = called == UNDECIDED
            counts |= {"real_undecided": ~fake & undecided, "fake_undecided": fake & undecided}
        errors[level] = {name: int(which.sum()) for name, which in counts.items()}
    return errors
