"""Adds the likelihood ratio of the score to answers, if an evaluation has calibrated it."""

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

Ratios: TypeAlias = "Mapping[str, LikelihoodRatio]"  # by level, `frame` or `video`


def calibration_of(detector: Detector, file: str | bool | None) -> Path | None:
    """Returns the file of likelihood ratios for a detector, or None.

    Args:
        detector: The detector.
        file: A path; None: the file beside its checkpoint, if there is one; False: no file.

    Raises:
        UserError: `file` is True.
    """
    from addnet.evaluation.likelihood_files import place_beside

    if file is True:
        raise UserError(
            "likelihood=true is not valid; name a file that `addnet evaluate lr=true` wrote, or use false for none"
        )
    if file is None:
        beside = place_beside(detector.loaded.path)
        return beside if beside.is_file() else None
    return Path(file) if file else None


def likelihood_ratios(detector: Detector, file: Path | None) -> Ratios:
    """Reads the likelihood ratios by level from a file that `addnet evaluate` wrote; empty without a file.

    Raises:
        UserError: The file can't be read, or was made from scores of another detector or another `mirror`.
    """
    if not file:
        return {}
    from addnet.evaluation.likelihood_files import read_likelihood

    calibration = read_likelihood(file)
    if not calibration.weights:
        log.warning("likelihood=%s was made from a file of scores: it isn't known if they are of this detector", file)
    elif calibration.weights not in detector.loaded.hashes:
        raise UserError(
            f"likelihood={file} was made from scores of another detector than {detector.loaded.called}: that one's "
            f"weights have the SHA-256 {calibration.weights[:12]}…; name a file made with this detector, or use "
            "likelihood=false for none"
        )
    elif calibration.mirror != detector.mirror:
        raise UserError(
            f"likelihood={file} was made with mirror={str(calibration.mirror).lower()}; use the same setting, or "
            "likelihood=false for none"
        )
    for level, ratio in calibration.ratios.items():
        log.info("likelihood ratios of %ss are for this population: %s", level, ratio.population)
    return calibration.ratios


def weighed(answer: Answer, ratios: Ratios) -> Answer:
    """Returns an answer with the likelihood ratio of its score, if there are ratios for its level.

    A file that is unlike the training images gets none, as it isn't from the population that the ratio was fitted on.
    """
    ratio = ratios.get("video" if answer.kind == "video" else "frame")
    if ratio is None or answer.score is None or answer.reason.startswith(UNLIKE):
        return answer
    log10 = float(ratio.log10(np.array([answer.score]))[0])
    return replace(answer, log10_lr=log10, evidence=ratio.told(answer.score))
