"""`addnet evaluate`: evaluates checkpoints with the usual metrics of the field and writes a report."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from addnet.cli import hydra_command
from addnet.config import build, plain
from addnet.console import shown_path
from addnet.errors import UserError
from addnet.inference import shipped
from addnet.untrusted.texts import in_markup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from addnet.data import DeepfakeDataModule
    from addnet.data.degradations import Degradation
    from addnet.evaluation.scored import ScoredSet
    from addnet.inference import Detector

log = logging.getLogger(__name__)

SCORES = "scores.parquet"
KEPT = "keep"  # value of lr: also write the likelihood ratios next to the checkpoint

_STARTED = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d-\d\d-\d\d)(?:-\d+)?")  # start time in the name of a run folder


def evaluate(cfg: DictConfig) -> dict[str, Any]:
    """Evaluates the checkpoints or scores of a composed config and writes the report into the run folder.

    Args:
        cfg: `configs/evaluate.yaml`, composed, with the run folder as `paths.output_dir`.

    Returns:
        All numbers of the report.

    Raises:
        UserError: A setting, a checkpoint or the data are not valid.
    """
    from addnet.evaluation.assessment import assess
    from addnet.evaluation.likelihood import require_sklearn
    from addnet.evaluation.likelihood_files import write_ratios
    from addnet.evaluation.report import write_report
    from addnet.evaluation.score_files import write_scores
    from addnet.evaluation.scored import grouped_alike
    from addnet.given_scores import of_files
    from addnet.inference.explaining import block_of
    from addnet.training.run_folder import provenance
    from addnet.untrusted.secrets import without_home

    folder = Path(cfg.paths.output_dir)
    if cfg.lr:
        require_sklearn()
    if cfg.lr not in (True, False, KEPT):
        raise UserError(f"lr={cfg.lr!r} is not valid; use true, false or {KEPT}")
    if cfg.scores.file:
        return reported(*of_files(cfg, folder))
    detectors = load_detectors(cfg)
    if cfg.mistakes:
        block_of(next(iter(detectors.values())), cfg.block)  # raises now rather than after scoring
    modules = {name: data_module(cfg, detector, folder) for name, detector in detectors.items()}
    beside = {name: place_of_ratios(it, modules[name]) for name, it in detectors.items()} if cfg.lr == KEPT else {}
    scored = grouped_alike({name: score(cfg, name, detectors[name], modules[name]) for name in detectors})
    decisions = {name: decision_of(cfg, detector) for name, detector in detectors.items()}
    numbers = assess(scored, decisions, resamples=cfg.resamples, seed=cfg.seed, likelihood=bool(cfg.lr))
    numbers["settings"]["mirror"] = cfg.mirror
    robustness = {name: climb(cfg, name, detectors[name], modules[name], decisions[name]) for name in detectors}
    first = next(iter(detectors))
    written = write_report(
        folder,
        numbers,
        scored,
        robustness=robustness if cfg.robustness.kinds else {},
        mistakes=worst_mistakes(cfg, first, detectors[first], modules[first], scored[first], decisions[first]),
        about=told_of_shipped(detectors)
        | provenance(modules[first].fingerprint)
        | {name: without_home(it.loaded.called) for name, it in detectors.items()}
        | choices(detectors, tested=set(scored[first])),
    )
    whose = {name: {"weights": it.loaded.hashes[0], "mirror": it.mirror} for name, it in detectors.items()}
    ratios = write_ratios(folder, numbers, whose=whose, beside=beside)
    return reported(numbers, (*written, write_scores(folder / SCORES, scored, decisions), *ratios))


def reported(numbers: dict[str, Any], written: Iterable[Path]) -> dict[str, Any]:
    """Prints the main metrics and the files that were written."""
    print_summary(numbers)
    for file in written:
        log.info("written: %s", shown_path(file))
    return numbers


def load_detectors(cfg: DictConfig) -> dict[str, Detector]:
    """Loads the checkpoints by name: the given name, or else that of the run folder or of the file."""
    from addnet.inference import Detector

    return {
        name: Detector.from_checkpoint(
            path,
            device=cfg.device,
            threshold=cfg.threshold,
            mirror=cfg.mirror,
            landmark_model=cfg.data.landmark_model,
            weights=cfg.model.weights,
        )
        for name, path in named(plain(cfg.ckpt) if OmegaConf.is_config(cfg.ckpt) else cfg.ckpt).items()
    }


def named(ckpt: Any) -> dict[str, str]:
    """Returns the paths of checkpoints by name.

    Args:
        ckpt: A path or the name of a detector, a list of these or of `name=path`, or a mapping of names to these.

    Raises:
        UserError: No checkpoint is named, or one is named twice.

    Example:
        >>> named({"plain": "a.ckpt", "band": "b.ckpt"})
        {'plain': 'a.ckpt', 'band': 'b.ckpt'}
        >>> named(["a/best.ckpt", "b/best.ckpt"])
        {'a': 'a/best.ckpt', 'b': 'b/best.ckpt'}
    """
    if isinstance(ckpt, Mapping):
        pairs = [(str(name), str(path)) for name, path in ckpt.items()]
    else:
        pairs = [_pair(str(path)) for path in (ckpt if isinstance(ckpt, list) else [ckpt]) if path]
    if not pairs:
        raise shipped.not_set()
    short = iter(names_of([path for name, path in pairs if not name]))
    names = [name or next(short) for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UserError(
            f"two checkpoints are called {twice!r}; give them different names: 'ckpt={{NAME: PATH, OTHER: PATH}}'"
        )
    return dict(zip(names, (path for _, path in pairs), strict=True))


def _pair(text: str) -> tuple[str, str]:
    """Splits `name=path`; a path that itself contains an equals sign has no name."""
    name, _, path = text.partition("=")
    there = path in shipped.names() or Path(path).exists()
    return (name, path) if path and not Path(text).exists() and there else ("", text)


def names_of(paths: list[str]) -> list[str]:
    """Returns short names by which checkpoints can be distinguished.

    Example:
        >>> names_of(["outputs/train/a/checkpoints/best.ckpt", "outputs/train/b/checkpoints/best.ckpt"])
        ['a', 'b']
        >>> names_of([f"runs/2026-11-27_{time}-104502/checkpoints/best.ckpt" for time in ("09-15-00", "21-44-57")])
        ['09-15-00', '21-44-57']
        >>> names_of(["best.ckpt"])
        ['best']
    """
    if len(set(paths)) < len(paths):
        raise UserError(f"ckpt={paths} names a checkpoint twice")
    parts = [[part for part in Path(path.removesuffix(".ckpt")).parts if part != "checkpoints"] for path in paths]
    if len(paths) > 1:
        while all(len(part) > 1 for part in parts) and len({part[-1] for part in parts}) == 1:
            parts = [part[:-1] for part in parts]
    for length in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return _without_dates(names)
    return paths


def _without_dates(names: list[str]) -> list[str]:
    """Shortens run folders named by their time, as far as they stay distinct."""
    for shown in (r"\2", r"\1_\2"):
        short = [_STARTED.sub(shown, name) for name in names]
        if len(set(short)) == len(short):
            return short
    return names


def data_module(cfg: DictConfig, detector: Detector, folder: Path) -> DeepfakeDataModule:
    """Builds the data module of the test images, preprocessed as in the training of a checkpoint."""
    from addnet.inference.evaluated_data import data_of, require_used
    from addnet.tested_on import require_data

    given = plain(cfg.data)
    require_used(given)
    require_data(given, detector.loaded)
    module: DeepfakeDataModule = build(cfg.data, **data_of(given, detector.loaded))
    module.prepare_data()
    module.setup("test")
    module.summary(folder)
    return module


def place_of_ratios(detector: Detector, module: DeepfakeDataModule) -> Path:
    """Returns the path of the likelihood ratios that are stored with a checkpoint.

    Raises:
        UserError: The file exists already, the detector came with addnet, or there are several test data sets.
    """
    from addnet.evaluation.likelihood_files import place_beside

    place, sets = place_beside(detector.loaded.path), module.splits["test"].records.names("dataset")
    if detector.loaded.shipped:
        raise UserError(
            f"lr={KEPT} can't write to the folder of {detector.loaded.called}, which came with addnet; use lr=true, "
            "and pass the file that it writes with likelihood=FILE"
        )
    if place.exists():
        raise UserError(f"lr={KEPT}: {place} exists already; remove it first, or use lr=true")
    if len(sets) > 1:
        raise UserError(f"lr={KEPT} needs exactly one test data set, not {', '.join(sets)}; name one, or use lr=true")
    return place


def choices(detectors: Mapping[str, Detector], *, tested: Collection[str]) -> dict[str, str]:
    """Returns lines for the report: what each checkpoint and its thresholds were chosen on.

    For adopted detectors, also their publisher. Logs a warning if the test data were used for the choice.
    """
    from addnet.inference.background import chosen_on, chosen_on_tests
    from addnet.inference.export.card import adopted_from

    lines = {}
    for name, detector in detectors.items():
        if adopted := detector.loaded.about.get("adopted"):
            lines[f"{name}, adopted"] = adopted_from(adopted)
        text = chosen_on(detector.loaded)
        if both := chosen_on_tests(detector.loaded, tested):
            text += f"; metrics on {', '.join(both)} are too optimistic, because it was chosen on this test data"
            log.warning("%s: %s", name, text)
        if text:
            lines[f"{name}, checkpoint and thresholds"] = text
    return lines


def told_of_shipped(detectors: Mapping[str, Detector]) -> dict[str, str]:
    """Logs the notice that must accompany each use of a detector that came with addnet, and returns it by name."""
    notices = {name: " ".join(it.background) for name, it in detectors.items() if it.loaded.shipped}
    for text in notices.values():
        log.info("%s", text)
    return {f"{name}, about it": text for name, text in notices.items()}


def score(cfg: DictConfig, name: str, detector: Detector, module: DeepfakeDataModule) -> dict[str, ScoredSet]:
    """Scores all test images, by data set."""
    from addnet.inference.scoring import scored_sets

    return scored_sets(module, *_scores(cfg, name, detector, module))


def climb(
    cfg: DictConfig, name: str, detector: Detector, module: DeepfakeDataModule, decision: Mapping[str, Any] | None
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Measures on the ladder of degradations: data set → kind → steps; the original images are the kind `clean`."""
    from addnet.data.degradations import UNITS, rungs
    from addnet.evaluation.levels import brief_metrics
    from addnet.inference.scoring import scored_sets, some_rows

    by_set: dict[str, dict[str, list[dict[str, Any]]]] = {}
    if not cfg.robustness.kinds:
        return by_set
    rows = some_rows(module, cfg.robustness.limit, seed=cfg.seed)
    steps = [None, *rungs(plain(cfg.robustness.kinds))]
    for number, step in enumerate(steps):
        damage = "not degraded" if step is None else f"{step.kind} {step.level:g}"
        title = f"{name}, {damage} ({number + 1} of {len(steps)})"
        scores = _scores(cfg, title, detector, module, degradation=step, rows=rows)
        kind = "clean" if step is None else f"{step.kind} ({UNITS[step.kind]})"
        for which, scored in scored_sets(module, *scores, rows=rows).items():
            metrics = brief_metrics(scored, decision, resamples=min(cfg.resamples, 200), seed=cfg.seed)
            level = (
                {"level": None, "label": "none"} if step is None else {"level": step.level, "label": f"{step.level:g}"}
            )
            counts = {"images": len(scored.paths), "videos": len(scored.video_ids)}
            by_set.setdefault(which, {}).setdefault(kind, []).append(level | counts | {"metrics": metrics})
    return by_set


def _scores(
    cfg: DictConfig,
    title: str,
    detector: Detector,
    module: DeepfakeDataModule,
    *,
    degradation: Degradation | None = None,
    rows: list[int] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Scores test records, all or the given rows.

    Returns:
        For each record: its score, whether it is valid, and the brightness of its face; (N,) each.
    """
    import numpy as np

    from addnet.inference.scoring import score_test
    from addnet.progress import show_progress

    trained = (detector.loaded.about.get("config") or {}).get("trainer")
    precision = str(cfg.precision or (trained or {}).get("precision") or "32-true")
    batches = score_test(detector, module, degradation=degradation, rows=rows, precision=precision)
    # number of batches, rounded up
    total = -(-(len(module.splits["test"].records) if rows is None else len(rows)) // module.batch_size)
    shown: Iterator[Any] = show_progress(batches, total, outcome=lambda _: "scored", title=title, unit="batches")
    probabilities, valid, brightness = map(np.concatenate, zip(*shown, strict=True))
    return probabilities, valid, brightness


def decision_of(cfg: DictConfig, detector: Detector) -> dict[str, dict[str, Any]] | None:
    """Returns thresholds and temperatures of a checkpoint, with the threshold of the config if it sets one."""
    from addnet.evaluation.decision import LEVELS, Decision

    decision = detector.loaded.about.get("decision")
    if cfg.threshold is None:
        return decision
    return {level: Decision.of(decision, level).at(cfg.threshold).plain() for level in LEVELS}


def worst_mistakes(
    cfg: DictConfig,
    name: str,
    detector: Detector,
    module: DeepfakeDataModule,
    scored: Mapping[str, ScoredSet],
    decision: Mapping[str, Any] | None,
) -> list[dict[str, Any]]:
    """Finds the images that are farthest on the wrong side of the threshold, and explains them."""
    from addnet.inference.mistakes import explained, farthest_wrong

    chosen = farthest_wrong(scored, threshold=detector.frame.threshold, most=cfg.mistakes)
    return [explained(detector, module, mistake, block=cfg.block) | {"checkpoint": name} for mistake in chosen]


def print_summary(numbers: Mapping[str, Any]) -> None:
    """Prints the main metrics as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="evaluation")
    sets = [tested for about in numbers["checkpoints"].values() for tested in about["sets"].values()]
    paired = ["paired accuracy"] if any(tested["pairs"]["with_both"] for tested in sets) else []
    for column in ("checkpoint", "test set", "level", "AUROC", "95 % interval", "EER", *paired, "balanced accuracy"):
        left = column in ("checkpoint", "test set", "level")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for checkpoint, about in numbers["checkpoints"].items():
        for name, tested in about["sets"].items():
            for level in ("frame", "video"):
                metrics, called = (tested["levels"][level][part] for part in ("metrics", "called"))
                auroc = metrics["auroc"]
                interval = "" if auroc["low"] is None else f"{auroc['low']:.3f} – {auroc['high']:.3f}"
                chosen = called["chosen"]["metrics"]
                cells = (auroc, metrics["eer"], metrics["paired_accuracy"], chosen["balanced_accuracy"])
                first, eer, pairs, balanced = (
                    "" if cell["value"] is None else f"{cell['value']:.3f}" for cell in cells
                )
                if not balanced and chosen["accuracy"]["value"] is not None:  # the data set has only one class
                    balanced = f"accuracy {chosen['accuracy']['value']:.3f}"
                rest = [pairs, balanced] if paired else [balanced]
                table.add_row(in_markup(checkpoint), in_markup(name), level, first, interval, eer, *rest)
    Console().print(table)


@hydra_command("evaluate")
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    evaluate(cfg)


if __name__ == "__main__":
    main()
