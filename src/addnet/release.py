"""`addnet release`: makes the folder of a detector to publish from a checkpoint, with a card of its error rates.

The weights are exported first, and the exported folder itself is evaluated.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from addnet.cli import hydra_command
from addnet.config import compose, plain
from addnet.errors import UserError
from addnet.evaluate import evaluate
from addnet.overrides import quoted
from addnet.predict import predict

if TYPE_CHECKING:
    from addnet.inference.export import Export

log = logging.getLogger(__name__)

MEASURED = "measured.json"


def release(cfg: DictConfig) -> Path:
    """Makes the folder of a detector from a composed config.

    Args:
        cfg: `configs/release.yaml`, composed, with the run folder as `paths.output_dir`.

    Returns:
        The folder.

    Raises:
        UserError: A setting, the checkpoint or the data are not valid.
    """
    from addnet.inference.background import measured_in_words
    from addnet.inference.evaluated_data import names_data
    from addnet.inference.export.exporting import licence_of
    from addnet.inference.export.hub_folder import describe_folder, read_config
    from addnet.inference.export.measured import measured_sections, of_test_sets
    from addnet.inference.export.output import require_free, whole

    if cfg.mirror:
        raise UserError(
            "mirror=true is not valid for a release, since its error rates would only hold with it; leave it out"
        )
    output, run = Path(cfg.output), Path(cfg.paths.output_dir)
    require_free(output, overwrite=cfg.overwrite)
    preface = _read(Path(cfg.card)) if cfg.card else ""
    if not cfg.measured and not names_data(plain(cfg.data)):
        raise UserError("no test data are named; name them with data.data_dir=PATH, or with data.test=[LAYOUT:PATH,…]")
    inputs = {name: _files(named) for name, named in (plain(cfg.real) if cfg.real else {}).items()}
    made = _exported(cfg, run / "detector" / output.name)
    if not cfg.domain:
        without = read_config(made.output)
        without["preprocessing"]["domain"] = None
        describe_folder(made.output, without, licence=licence_of(cfg.license, without, cfg.ckpt))
    weights = read_config(made.output)["weights"]["sha256"]
    results = _measured_before(Path(cfg.measured), weights) if cfg.measured else _measure(cfg, made, inputs)
    (run / MEASURED).write_text(json.dumps({"weights": weights, **results}, indent=1) + "\n", encoding="utf-8")
    try:
        config = read_config(made.output) | {"measured": [*of_test_sets(results["evaluation"]), *results["real"]]}
        sections = measured_sections(results["evaluation"], results["real"])
    except KeyError as error:
        if not cfg.measured:
            raise
        raise UserError(
            f"measured={cfg.measured} has no {error}, because another version wrote it; leave it out to measure again"
        ) from error
    licence = licence_of(cfg.license, config, cfg.ckpt)
    describe_folder(made.output, config, licence=licence, folder=output.name, preface=preface, measured=sections)
    with whole(output) as part:
        shutil.copytree(made.output, part)
    log.info("%s: %.1f MB. %s", output, made.size / 1e6, measured_in_words(config))
    return output


def _exported(cfg: DictConfig, folder: Path) -> Export:
    from addnet.inference.export import export_checkpoint

    made = export_checkpoint(
        cfg.ckpt,
        folder,
        format="safetensors",
        tensors=cfg.tensors,
        seed=cfg.seed,
        overwrite=True,
        licence=cfg.license,
        weights=cfg.model.weights,
    )
    log.info("checked %s", made.parity)
    return made


def _files(named: Any) -> list[str]:
    """Returns the files that a config names, after checking that they exist."""
    from addnet.inference.inputs import Inputs

    files = [str(file) for file in (named if isinstance(named, list) else [named])]
    Inputs.of(files)
    return files


def _measure(cfg: DictConfig, made: Export, real_files: Mapping[str, list[str]]) -> dict[str, Any]:
    """Runs predict on files that are all real, and evaluate on the test data; returns both results."""
    from addnet.evaluation.report import NUMBERS
    from addnet.inference.export.measured import of_real_files

    real, run = [], Path(cfg.paths.output_dir)
    how = [
        f"ckpt={quoted(str(made.output))}",
        f"detector.device={cfg.device}",
        "timeline=false",
        "annotate=false",
        "quiet=true",
    ]
    for name, files in real_files.items():
        own = [f"input=[{','.join(map(quoted, files))}]", f"paths.output_dir={quoted(str(run / 'real' / name))}"]
        answers = predict(compose([*how, *own, "truth=real"], config_name="predict"))
        real += of_real_files(name, answers, class_names=made.about["class_names"])
    tested = cfg.copy()
    tested.ckpt = str(made.output)
    evaluate(tested)
    return {"evaluation": json.loads((run / NUMBERS).read_text(encoding="utf-8")), "real": real}


def _measured_before(file: Path, weights: str) -> Mapping[str, Any]:
    """Reads the results of an earlier run.

    Raises:
        UserError: The file is not such a result, or it is for other weights.
    """
    try:
        results = json.loads(_read(file))
    except ValueError as error:
        raise UserError(f"measured={file} is damaged ({error}); leave it out to measure again") from error
    if not isinstance(results, dict) or not {"weights", "evaluation", "real"} <= results.keys():
        raise UserError(f"measured={file} was not written by addnet release; give the {MEASURED} of its run folder")
    if results["weights"] != weights:
        raise UserError(f"measured={file} was measured with other weights; leave it out to measure these")
    return {name: results[name] for name in ("evaluation", "real")}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{file} cannot be read: {reason}") from error


@hydra_command("release")
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    release(cfg)


if __name__ == "__main__":
    main()
