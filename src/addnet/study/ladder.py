"""The best cells by validation → one evaluation of their checkpoints, on damaged images too."""

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
    """The cells of the first seed of the variants with the best mean of validation, over the most seeds that one has.

    Those that are validated on other images than the first, such as blends, and those that are not tested can't be
    compared, and are left out; so are controls with masks of others, which are no detectors.

    Args:
        cfg: `configs/study.yaml` composed.
        results: What is known of cells.
        every: All cells.
    """
    found: dict[str, dict[int, float]] = {}
    validated = every[0].config["data"]["val_fakes"]
    for cell in every:
        row, data = results.row(cell, recipe(cell.config), size=cfg.size.name), cell.config["data"]
        if row and cell.config["test"] and data["val_fakes"] == validated and data["mask_of"] == "own":
            found.setdefault(cell.variant, {})[cell.seed] = float(row[CHOSEN_BY])
    most = max(map(len, found.values()), default=0)
    means = {variant: statistics.fmean(row.values()) for variant, row in found.items() if len(row) == most}
    chosen = sorted(means, key=lambda variant: -means[variant])[: cfg.ladder]
    return [
        next(cell for cell in every if cell.variant == variant and cell.seed in found[variant]) for variant in chosen
    ]


def ladder_job(cfg: DictConfig, folder: StudyFolder, results: Results, chosen: Sequence[StudyCell]) -> list[StudyJob]:
    """The evaluation of the best cells; none where these have been evaluated.

    Args:
        cfg: `configs/study.yaml` composed.
        folder: Of the study.
        results: Takes what the page needs of it.
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
