"""Answers get the likelihood ratio of their score, where an evaluation has calibrated it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from addnet.evaluation.likelihood import LikelihoodRatio
    from addnet.inference.answers import Answer

log = logging.getLogger(__name__)

Ratios: TypeAlias = "Mapping[str, LikelihoodRatio]"  # of each level, `frame` or `video`


def likelihood_ratios(file: str | None) -> Ratios:
    """Level → calibration of a file that evaluate wrote; empty without one.

    Raises:
        UserError: It can't be read.
    """
    if not file:
        return {}
    from addnet.evaluation.likelihood_files import read_likelihood

    ratios = read_likelihood(Path(file))
    for level, ratio in ratios.items():
        log.info(
            "likelihood ratios of %s: for scores of the detector that was calibrated on %s", level, ratio.population
        )
    return ratios


def weighed(answer: Answer, ratios: Ratios) -> Answer:
    """An answer with the likelihood ratio of its score, where there is one for such files."""
    ratio = ratios.get("video" if answer.kind == "video" else "frame")
    if ratio is None or answer.score is None:
        return answer
    log10 = float(ratio.log10(np.array([answer.score]))[0])
    return replace(answer, log10_lr=log10, evidence=ratio.told(answer.score))
