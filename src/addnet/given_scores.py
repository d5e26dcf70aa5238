"""The report of `addnet evaluate` for scores from other programs or from an earlier evaluation."""

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
_UNUSED = {
    "ckpt": DEFAULT,
    "robustness.kinds": None,
    "mirror": False,
    "model.weights": None,
}  # key → value that counts as not set


def of_files(cfg: DictConfig, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """Evaluates given scores, without a network.

    Args:
        cfg: `configs/evaluate.yaml`, composed, with `scores.file`.
        folder: The run folder.

    Returns:
        All numbers of the report, and the files that were written.

    Raises:
        UserError: A file or a value in it can't be used, or a setting needs a checkpoint.
    """
    from addnet.evaluation.assessment import assess
    from addnet.evaluation.decision import LEVELS, Decision
    from addnet.evaluation.likelihood_files import write_ratios
    from addnet.evaluation.report import write_report
    from addnet.evaluation.score_files import Columns, read_scores, told_of_missing
    from addnet.training.run_folder import provenance

    _require_no_network(cfg)
    if cfg.lr not in (True, False):
        raise UserError(f"lr={cfg.lr} is only for checkpoints; with scores.file, use lr=true")
    options = plain(cfg.scores)
    files, how = _files(options.pop("file")), {name: options.pop(name) for name in ("scale", "most")}
    given = read_scores(files, Columns(scores=options.pop("columns"), **options), **how)
    decisions = given.decisions
    if cfg.threshold is not None:
        _require_threshold(cfg.threshold, given.scored)
        decisions = {
            name: {level: Decision.of(decision, level).at(cfg.threshold).plain() for level in LEVELS}
            for name, decision in decisions.items()
        }
    written = []
    if notice := told_of_missing(given):
        log.warning("%s; they are listed in %s", notice, folder / MISSING_FILE)
        written.append(_write_missing(folder / MISSING_FILE, given.missing))
    numbers = assess(given.scored, decisions, resamples=cfg.resamples, seed=cfg.seed, likelihood=bool(cfg.lr))
    about = provenance("") | {f"scores of {name}": _identified(file) for name, file in files.items()}
    about.pop("data_fingerprint", None)
    if notice:
        about["missing scores"] = notice
    report = write_report(folder, numbers, given.scored, robustness={}, mistakes=[], about=about)
    return numbers, [*report, *written, *write_ratios(folder, numbers)]


def _require_no_network(cfg: DictConfig) -> None:
    for key, nothing in _UNUSED.items():
        if (OmegaConf.select(cfg, key) or nothing) != nothing:
            raise UserError(
                f"{key}={OmegaConf.select(cfg, key)} is only for checkpoints; leave it out with scores.file, which "
                "brings its own scores"
            )
    for key in ("data_dir", "index", "test", "train"):
        if cfg.data.get(key):
            raise UserError(
                f"data.{key}={cfg.data[key]} has no effect, because scores.file is used without images; leave it out"
            )


def _files(given: Any) -> dict[str, Path]:
    """Returns the score files by name: the given names, or else those of the files."""
    from addnet.evaluate import names_of

    if isinstance(given, Mapping):
        return {str(name): Path(file) for name, file in given.items()}
    paths = [str(path) for path in (given if isinstance(given, list) else [given])]
    bare = [path.removesuffix(".gz") for path in paths]
    return dict(zip(names_of([str(Path(path).with_suffix("")) for path in bare]), map(Path, paths), strict=True))


def _require_threshold(threshold: float, scored: Mapping[str, Mapping[str, Any]]) -> None:
    probabilities = all(rows.is_probability for sets in scored.values() for rows in sets.values())
    if probabilities and not 0 <= threshold <= 1:
        raise UserError(f"threshold={threshold} must be in [0, 1], like the scores")


def _identified(file: Path) -> str:
    return f"{file.name}, SHA-256 {sha256_of(file)}"


def _write_missing(file: Path, missing: list[tuple[str, str, str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows([in_data(cell) for cell in row] for row in missing)
    return file
