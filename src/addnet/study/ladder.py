"""Evaluates the checkpoints of the best cells by validation, including on degraded images."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from omegaconf import DictConfig

from addnet.overrides import quoted
from addnet.study.driving import StudyJob
from addnet.study.folders import StudyFolder
from addnet.study.plan import StudyCell
from addnet.study.recipe import digest, recipe
from addnet.study.results import METRICS, Results, brief
from addnet.sweeps.results import read_json, read_result

CHOSEN_BY = METRICS[0]


def best(cfg: DictConfig, results: Results, every: Sequence[StudyCell]) -> list[StudyCell]:
    """Returns the cells with the first seed of the variants that have the best mean validation metric.

    Only variants with the largest number of seeds take part. Variants that are validated on other images than the
    first cell, such as blends, and those that are not tested can't be compared and are left out; so are controls with
    the masks of other images, which are not usable as detectors.

    Args:
        cfg: `configs/study.yaml`, composed.
        results: The results of finished cells.
        every: All cells.
    """
    by_variant: dict[str, dict[int, float]] = {}  # variant → seed → validation metric
    validated = every[0].config["data"]["val_fakes"]
    for cell in every:
        row, data = results.row(cell, recipe(cell.config), size=cfg.size.name), cell.config["data"]
        if row and cell.config["test"] and data["val_fakes"] == validated and data["mask_of"] == "own":
            by_variant.setdefault(cell.variant, {})[cell.seed] = float(row[CHOSEN_BY])
    most = max(map(len, by_variant.values()), default=0)
    means = {variant: statistics.fmean(row.values()) for variant, row in by_variant.items() if len(row) == most}
    chosen = sorted(means, key=lambda variant: -means[variant])[: cfg.ladder]
    return [
        next(cell for cell in every if cell.variant == variant and cell.seed in by_variant[variant])
        for variant in chosen
    ]


def ladder_job(cfg: DictConfig, folder: StudyFolder, results: Results, chosen: Sequence[StudyCell]) -> list[StudyJob]:
    """Makes the job that evaluates the best cells; an empty list if they have been evaluated.

    Args:
        cfg: `configs/study.yaml`, composed.
        folder: The folder of the study.
        results: Receives the metrics that the page of the study shows.
        chosen: The best cells, trained in that folder.
    """
    where = folder.path / f"ladder-{digest({cell.name: cell.digest for cell in chosen})}"
    done = read_result(where)
    if not chosen or (done and done.status == "success"):
        return []
    named = ", ".join(
        f"{cell.variant.replace('/', '_')}: {quoted(str(folder.of(cell) / 'checkpoints' / 'best.ckpt'))}"
        for cell in chosen
    )
    places = [one for one in chosen[0].fixed if one.startswith(("data.data_dir=", "data=", "paths."))]
    limits = [one for one in cfg.size.overrides if one.startswith("data.limit_test=")]
    arguments = [f"ckpt={{{named}}}", *places, *limits, f"robustness={cfg.size.robustness}", "mistakes=0"]
    arguments.append(f"hydra.run.dir={quoted(str(where))}")

    def finished() -> None:
        evaluation = read_json(where / "evaluation.json")
        if evaluation:
            results.put_ladder(brief(evaluation) | {"size": cfg.size.name})

    return [
        StudyJob(
            f"ladder of {', '.join(cell.variant for cell in chosen)}",
            where,
            ("addnet.evaluate", *arguments),
            finished,
            records=False,
        )
    ]
