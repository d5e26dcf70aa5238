"""Calibrations of likelihood ratios as files, which go from an evaluation to where a detector is asked."""

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
    """What a file of likelihood ratios holds.

    Attributes:
        ratios: Level → ratio.
        weights: SHA-256 of the detector whose scores they are for; empty where scores were given as a file.
        mirror: Whether that was asked about mirror images too.
    """

    ratios: Mapping[str, LikelihoodRatio]
    weights: str = ""
    mirror: bool = False


def place_beside(ckpt: Path) -> Path:
    """Where the likelihood ratios of a detector lie that go with it.

    Example:
        >>> place_beside(Path("checkpoints/best.ckpt")).as_posix()
        'checkpoints/best.likelihood.json'

    Args:
        ckpt: A checkpoint, or the folder of an export: `likelihood.json` in it.
    """
    return ckpt / BESIDE if ckpt.is_dir() else ckpt.with_suffix(".likelihood.json")


def write_ratios(
    folder: Path,
    evaluation: Mapping[str, Any],
    *,
    whose: Mapping[str, Mapping[str, Any]] | None = None,
    beside: Mapping[str, Path] | None = None,
) -> list[Path]:
    """A file for each checkpoint and data set of an evaluation that has ratios: `likelihood_1-CHECKPOINT_SET.json`.

    Args:
        folder: Of the evaluation.
        evaluation: Its numbers.
        whose: Checkpoint → `weights` and `mirror` of `Calibration`; None where there are only scores.
        beside: Checkpoint → a second place for those of its one data set.
    """
    written = []
    for position, (checkpoint, found) in enumerate(evaluation["checkpoints"].items(), start=1):
        for name, numbers in found["sets"].items():
            file = folder / f"likelihood_{position}-{slug(checkpoint, name)}.json"
            about = {"checkpoint": checkpoint, "data_set": name, **(whose or {}).get(checkpoint, {})}
            places = [place for place in (file, (beside or {}).get(checkpoint)) if place and "likelihood" in numbers]
            made = [write_likelihood(place, numbers["likelihood"], about=about) for place in places]
            written += [place for place in made if place]
    return written


def write_likelihood(file: Path, numbers: Mapping[str, Mapping[str, Any]], *, about: Mapping[str, Any]) -> Path | None:
    """Writes calibrations for the cases of a checkpoint.

    Args:
        file: To be written; its folder is made if need be.
        numbers: Level → `CalibratedRatios.numbers`, or {"why_not": …}.
        about: Whose scores they are for: "checkpoint", "data_set", and "weights" and "mirror" of `Calibration`.

    Returns:
        The file; None where no level has a ratio.
    """
    levels = {level: asdict(LikelihoodRatio.of(found)) for level, found in numbers.items() if "why_not" not in found}
    if not levels:
        return None
    text = json.dumps({"format": FORMAT, **about, "levels": levels}, indent=1, ensure_ascii=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(in_json(text) + "\n", encoding="utf-8")
    return file


def read_likelihood(file: Path) -> Calibration:
    """What `write_likelihood` wrote.

    Raises:
        UserError: There is no such file, or it is another one.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        levels = {level: LikelihoodRatio.of(values) for level, values in found["levels"].items() if level in LEVELS}
    except UserError as error:
        raise UserError(f"likelihood={file}: {error}") from error
    except OSError as error:
        raise UserError(
            f"likelihood={file} can't be read ({error.strerror}); evaluate with lr=true writes one"
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"likelihood={file} is no calibration of likelihood ratios; evaluate with lr=true writes one"
        ) from error
    if found.get("format") != FORMAT:
        raise UserError(f"likelihood={file} is of format {shown(found.get('format'))}; this version reads {FORMAT}")
    return Calibration(levels, str(found.get("weights") or ""), found.get("mirror") is True)
