"""Files of likelihood ratio calibrations, written by an evaluation and read for inference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.evaluation.likelihood import LEVELS, LikelihoodRatio
from addnet.evaluation.report.wording import slug
from addnet.untrusted.texts import in_json, shown

FORMAT = 1
BESIDE = "likelihood.json"  # in the folder of an export


@dataclass(frozen=True)
class Calibration:
    """The contents of a file of likelihood ratios.

    Attributes:
        ratios: Level → ratio.
        weights: SHA-256 of the detector whose scores they are for; empty if scores were given as a file.
        mirror: Whether the scores are means over images and their mirror images.
    """

    ratios: Mapping[str, LikelihoodRatio]
    weights: str = ""
    mirror: bool = False


def place_beside(ckpt: Path) -> Path:
    """The path of the likelihood ratios that belong to a detector.

    Example:
        >>> place_beside(Path("checkpoints/best.ckpt")).as_posix()
        'checkpoints/best.likelihood.json'

    Args:
        ckpt: A checkpoint, or the folder of an export, which holds them as `likelihood.json`.
    """
    return ckpt / BESIDE if ckpt.is_dir() else ckpt.with_suffix(".likelihood.json")


def write_ratios(
    folder: Path,
    evaluation: Mapping[str, Any],
    *,
    whose: Mapping[str, Mapping[str, Any]] | None = None,
    beside: Mapping[str, Path] | None = None,
) -> list[Path]:
    """Writes a file for each checkpoint and data set that has ratios: `likelihood_1-CHECKPOINT_SET.json`.

    Args:
        folder: Folder of the evaluation.
        evaluation: Numbers of the evaluation.
        whose: Checkpoint → `weights` and `mirror` of `Calibration`; None if there are only scores.
        beside: Checkpoint → a second path for the ratios of its only data set.

    Returns:
        The files that were written.
    """
    written = []
    for position, (checkpoint, found) in enumerate(evaluation["checkpoints"].items(), start=1):
        for name, numbers in found["sets"].items():
            file = folder / f"likelihood_{position}-{slug(checkpoint, name)}.json"
            about = {"checkpoint": checkpoint, "data_set": name, **(whose or {}).get(checkpoint, {})}
            places = [place for place in (file, (beside or {}).get(checkpoint)) if place and "likelihood" in numbers]
            files = [write_likelihood(place, numbers["likelihood"], about=about) for place in places]
            written += [file for file in files if file]
    return written


def write_likelihood(file: Path, numbers: Mapping[str, Mapping[str, Any]], *, about: Mapping[str, Any]) -> Path | None:
    """Writes the calibrations of a checkpoint on a data set.

    Args:
        file: The file to write; its folder is created if necessary.
        numbers: Level → `CalibratedRatios.numbers`, or {"why_not": …}.
        about: What the scores belong to: "checkpoint", "data_set", and "weights" and "mirror" of `Calibration`.

    Returns:
        The file; None if no level has a ratio.
    """
    levels = {level: asdict(LikelihoodRatio.of(found)) for level, found in numbers.items() if "why_not" not in found}
    if not levels:
        return None
    text = json.dumps({"format": FORMAT, **about, "levels": levels}, indent=1, ensure_ascii=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(in_json(text) + "\n", encoding="utf-8")
    return file


def read_likelihood(file: Path) -> Calibration:
    """Reads a file that `write_likelihood` wrote.

    Raises:
        UserError: The file doesn't exist, can't be read or isn't a valid calibration.
    """
    try:
        contents = json.loads(file.read_text(encoding="utf-8"))
        levels = {level: LikelihoodRatio.of(values) for level, values in contents["levels"].items() if level in LEVELS}
    except UserError as error:
        raise UserError(f"likelihood={file}: {error}") from error
    except OSError as error:
        raise UserError(
            f"likelihood={file} can't be read ({error.strerror}); create one by addnet evaluate with lr=true"
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"likelihood={file} is not a calibration of likelihood ratios; create one by addnet evaluate with lr=true"
        ) from error
    if (found := contents.get("format")) != FORMAT:
        raise UserError(f"likelihood={file} has format {shown(found)}; this version reads format {FORMAT}")
    return Calibration(levels, str(contents.get("weights") or ""), contents.get("mirror") is True)
