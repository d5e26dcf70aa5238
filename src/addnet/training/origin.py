"""What a checkpoint says it learnt from: how much of which data, and where it is wrong on its own validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from addnet.evaluation import Scores, by_video


def training_data(datamodule: Any) -> list[dict[str, Any]]:
    """How much of each data set is trained on, as plain values.

    Args:
        datamodule: Set up; empty where it isn't one of this program.

    Returns:
        Of each data set: its name `dataset`, pictures of each class `real` and `fake`, and `videos`.
    """
    part = getattr(datamodule, "splits", {}).get("train")
    if part is None:
        return []
    records = part.records
    which, labels, videos = records.numbers("dataset"), np.asarray(records.labels), records.numbers("video_id")
    names = records.names("dataset")
    return [
        {
            "dataset": str(names[number]),
            "real": int((labels[which == number] == 0).sum()),
            "fake": int((labels[which == number] == 1).sum()),
            "videos": len(np.unique(videos[which == number])),
        }
        for number in np.unique(which).tolist()
    ]


def validation_errors(scores: Scores, decision: Mapping[str, Any] | None) -> dict[str, dict[str, int]]:
    """How often the thresholds that validation chose are wrong on that validation.

    Args:
        scores: Of validation.
        decision: From `decide`.

    Returns:
        Of pictures (`frame`) and videos (`video`): how many are `real` and `fake`, and how many of these are
        `real_called_fake` and `fake_called_real`. Empty without a decision.
    """
    errors = {}
    for level, rows in (("frame", scores), ("video", by_video(scores))):
        if not decision or level not in decision:
            continue
        fake, called = rows.labels == 1, rows.probabilities > decision[level]["threshold"]
        counts = {"real": ~fake, "real_called_fake": ~fake & called, "fake": fake, "fake_called_real": fake & ~called}
        errors[level] = {name: int(which.sum()) for name, which in counts.items()}
    return errors
