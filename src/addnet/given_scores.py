"""Scores that were made elsewhere, or kept from an earlier evaluation → the report of `addnet evaluate`."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from addnet.config import plain
from addnet.errors import UserError
from addnet.inference.shipped import DEFAULT
from addnet.untrusted.files import sha256_of
from addnet.untrusted.texts import in_data

log = logging.getLogger(__name__)

MISSING_FILE = "missing_scores.csv"
_COLUMNS = ("dataset", "path", "detector")
_UNUSED = {"ckpt": DEFAULT, "robustness.kinds": None, "mirror": False, "model.weights": None}  # and what is no choice


def of_files(cfg: DictConfig, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """Everything of an evaluation that needs no network.

    Args:
        cfg: `configs/evaluate.yaml` composed, with `scores.file`.
        folder: The run folder.

    Returns:
        Every number of the report, and the files that were written.

    Raises:
        UserError: A file or a value in it can't be used, or something is asked for that needs a checkpoint.
    """
    from addnet.evaluation.assessment import assess
    from addnet.evaluation.decision import LEVELS, Decision
    from addnet.evaluation.likelihood_files import write_ratios
    from addnet.evaluation.report import write_report
    from addnet.evaluation.score_files import Columns, read_scores, told_of_missing
    from addnet.training.run_folder import provenance

    _require_no_network(cfg)
    if cfg.lr not in (True, False):
        raise UserError(f"lr={cfg.lr} is for checkpoints; with scores.file take lr=true")
    asked = plain(cfg.scores)
    files, how = _files(asked.pop("file")), {name: asked.pop(name) for name in ("scale", "most")}
    said = read_scores(files, Columns(scores=asked.pop("columns"), **asked), **how)
    decisions = said.decisions
    if cfg.threshold is not None:
        _require_threshold(cfg.threshold, said.scored)
        decisions = {
            name: {level: Decision.of(decision, level).at(cfg.threshold).plain() for level in LEVELS}
            for name, decision in decisions.items()
        }
    written = []
    if told := told_of_missing(said):
        log.warning("%s; they are listed in %s", told, folder / MISSING_FILE)
        written.append(_write_missing(folder / MISSING_FILE, said.missing))
    numbers = assess(said.scored, decisions, resamples=cfg.resamples, seed=cfg.seed, likelihood=bool(cfg.lr))
    about = provenance("") | {f"scores of {name}": _told(file) for name, file in files.items()}
    about.pop("data_fingerprint", None)
    if told:
        about["missing scores"] = told
    report = write_report(folder, numbers, said.scored, robustness={}, mistakes=[], about=about)
    return numbers, [*report, *written, *write_ratios(folder, numbers)]


def _require_no_network(cfg: DictConfig) -> None:
    for key, nothing in _UNUSED.items():
        if (OmegaConf.select(cfg, key) or nothing) != nothing:
            told = f"{key}={OmegaConf.select(cfg, key)} is for checkpoints that score"
            raise UserError(f"{told}; with scores.file there is nothing to be scored, leave it out")
    for key in ("data_dir", "index", "test", "train"):
        if cfg.data.get(key):
            raise UserError(f"data.{key}={cfg.data[key]} is used for nothing: with scores.file no images are read")


def _files(given: Any) -> dict[str, Path]:
    """Name → file: names as given, else those of the files."""
    from addnet.evaluate import names_of

    if isinstance(given, Mapping):
        return {str(name): Path(file) for name, file in given.items()}
    paths = [str(path) for path in (given if isinstance(given, list) else [given])]
    bare = [path.removesuffix(".gz") for path in paths]
    return dict(zip(names_of([str(Path(path).with_suffix("")) for path in bare]), map(Path, paths), strict=True))


def _require_threshold(threshold: float, scored: Mapping[str, Mapping[str, Any]]) -> None:
    probabilities = all(rows.is_probability for sets in scored.values() for rows in sets.values())
    if probabilities and not 0 <= threshold <= 1:
        raise UserError(f"threshold={threshold} must lie in [0, 1], as the scores do")


def _told(file: Path) -> str:
    return f"{file.name}, SHA-256 {sha256_of(file)}"


def _write_missing(file: Path, missing: list[tuple[str, str, str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows([in_data(cell) for cell in row] for row in missing)
    return file
