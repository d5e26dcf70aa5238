"""What a checkpoint records of its training data: images of each data set, and errors on its validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from addnet.evaluation import Decision, Scores, by_video
from addnet.evaluation.decision import UNDECIDED
from addnet.index.records import FAKE, REAL, Records


def amounts(records: Records) -> list[dict[str, Any]]:
    """The number of images and videos of each data set, as plain values.

    Args:
        records: Records of training, or those that checkpoints and thresholds are chosen on.

    Returns:
        For each data set its name `dataset`, the `split` of the data set that the images belong to (`val` also if they
        were held out from its training images), the number of images of each class, `real` and `fake`, and of `videos`.
    """
    datasets, splits, videos = (records.numbers(name) for name in ("dataset", "split", "video_id"))
    names = {name: records.names(name) for name in ("dataset", "split")}
    labels = np.asarray(records.labels)
    rows = []
    for dataset, split in sorted(set(zip(datasets.tolist(), splits.tolist(), strict=True))):
        here = (datasets == dataset) & (splits == split)
        rows.append(
            {
                "dataset": str(names["dataset"][dataset]),
                "split": str(names["split"][split]),
                "real": int((labels[here] == REAL).sum()),
                "fake": int((labels[here] == FAKE).sum()),
                "videos": len(np.unique(videos[here])),
            }
        )
    return rows


def validation_errors(scores: Scores, decision: Mapping[str, Any] | None) -> dict[str, dict[str, int]]:
    """Counts the errors on validation data of the thresholds that were chosen on it.

    Args:
        scores: Scores of validation.
        decision: Decision from `decide`.

    Returns:
        For images (`frame`) and videos (`video`): the numbers of `real` and `fake`, of `real_called_fake` and
        `fake_called_real`, and of `real_undecided` and `fake_undecided` if the decision has an undecided range. Empty
        without a decision.
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
