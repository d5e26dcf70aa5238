"""Answers get the likelihood ratio of their score, where an evaluation has calibrated it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from addnet.errors import UserError
from addnet.inference.answers import UNLIKE

if TYPE_CHECKING:
    from addnet.evaluation.likelihood import LikelihoodRatio
    from addnet.inference.answers import Answer
    from addnet.inference.detector import Detector

log = logging.getLogger(__name__)

Ratios: TypeAlias = "Mapping[str, LikelihoodRatio]"  # of each level, `frame` or `video`


def calibration_of(detector: Detector, file: str | bool | None) -> Path | None:
    """The file of likelihood ratios that is taken for a detector; None for none.

    Args:
        detector: The detector.
        file: The one that is named; None: that which lies beside its checkpoint, if there is one; False: none.

    Raises:
        UserError: It is neither.
    """
    from addnet.evaluation.likelihood_files import place_beside

    if file is True:
        raise UserError("likelihood=true is not valid; name a file that evaluate with lr=true wrote, or false for none")
    if file is None:
        beside = place_beside(detector.loaded.path)
        return beside if beside.is_file() else None
    return Path(file) if file else None


def likelihood_ratios(detector: Detector, file: Path | None) -> Ratios:
    """Level → calibration of a file that evaluate wrote; empty without one.

    Raises:
        UserError: It can't be read, or was made of the scores of another detector.
    """
    if not file:
        return {}
    from addnet.evaluation.likelihood_files import read_likelihood

    calibration = read_likelihood(file)
    if not calibration.weights:
        log.warning("likelihood=%s was made of scores in a file: whether they are of this detector isn't known", file)
    elif calibration.weights not in detector.loaded.hashes:
        raise UserError(
            f"likelihood={file} was made of the scores of another detector than {detector.loaded.called}: its weights "
            f"have the SHA-256 {calibration.weights[:12]}…; name its own, or likelihood=false for none"
        )
    elif calibration.mirror != detector.mirror:
        raise UserError(
            f"likelihood={file} was made with mirror={str(calibration.mirror).lower()}; ask with the same, or name "
            "likelihood=false for none"
        )
    for level, ratio in calibration.ratios.items():
        log.info("likelihood ratios of %ss are of a population: %s", level, ratio.population)
    return calibration.ratios


def weighed(answer: Answer, ratios: Ratios) -> Answer:
    """An answer with the likelihood ratio of its score, where there is one for such files.

    What is unlike the training images gets none: it is of no population that the ratio was made from.
    """
    ratio = ratios.get("video" if answer.kind == "video" else "frame")
    if ratio is None or answer.score is None or answer.reason.startswith(UNLIKE):
        return answer
    log10 = float(ratio.log10(np.array([answer.score]))[0])
    return replace(answer, log10_lr=log10, evidence=ratio.told(answer.score))
