"""Scores of a detector that was never trained: drawn, with videos whose images are alike."""

import numpy as np

from addnet.evaluation.scored import ScoredSet

DECISION = {"frame": {"threshold": 0.4, "temperature": 2.0}, "video": {"threshold": 0.45, "temperature": 1.5}}
METHODS = ("blend", "swap")


def drawn_scores(name="drawn", *, videos=30, frames=6, skill=1.0, seed=0, labels=None):
    random = np.random.default_rng(seed)
    by_number = np.arange(videos) % 2 if labels is None else np.full(videos, labels)
    rows = np.repeat(np.arange(videos), frames)
    truth = by_number[rows]
    logits = random.normal(skill * (2 * by_number - 1), 1.0)[rows] + random.normal(0, 0.5, len(rows))
    methods = [METHODS[video // 2 % 2] if fake else "" for video, fake in zip(rows, truth, strict=True)]
    sizes = [("64", "128")[number % 2] for number in range(len(rows))]
    ids = [f"{name}/{video}" for video in range(videos)]
    paths = [f"{name}/{video}/{row}.png" for row, video in enumerate(rows)]
    return ScoredSet(name, 1 / (1 + np.exp(-logits)), truth, rows, paths, ids, {"method": methods, "size": sizes})
