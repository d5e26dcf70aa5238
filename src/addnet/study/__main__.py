"""`addnet study`: trains the sweeps of a study in one folder and keeps their results in `results/`.

Each cell is an ordinary training with its own run folder. Finished cells are never trained again, even if sweeps are
added; interrupted cells continue from their last checkpoint. The exit code is 1 if a cell isn't done, 2 if an argument
is wrong, and 128 plus the number of the signal that stopped the study.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from addnet.cli import command
from addnet.config import plain
from addnet.console import say
from addnet.errors import UserError, require_choice
from addnet.overrides import quoted
from addnet.study.driving import StudyJob, drive, remove_last, training
from addnet.study.folders import State, StudyFolder, run_recipe
from addnet.study.ladder import best, ladder_job
from addnet.study.overview import overview
from addnet.study.plan import StudyCell, cells
from addnet.study.recipe import recipe
from addnet.study.results import Results, collect
from addnet.sweeps.results import read_result

TASKS = ("run", "list", "ladder")
DONE = ("done", "kept")


def study(cfg: DictConfig) -> int:
    """Runs the task of a composed config: train cells, list them, or evaluate the best.

    Args:
        cfg: `configs/study.yaml`, composed.

    Raises:
        UserError: A value is not valid.
    """
    check(cfg)
    every = planned(cfg)
    chosen = [cell for cell in every if is_chosen(cfg, cell)]
    if not chosen:
        raise UserError(f"sweeps={cfg.sweeps} seeds={cfg.seeds} select no cell; addnet study do=list shows all cells")
    folder = StudyFolder(Path(cfg.paths.output_root, cfg.task, cfg.size.name).absolute())
    results = Results(results_dir(cfg))
    states = found_states(cfg, folder, every, results)
    keep_new(cfg, folder, every, states, results)
    if cfg.do == "list":
        sys.stdout.write(overview(chosen, states, folder, size=cfg.size, n_jobs=cfg.n_jobs))
        return 0
    if cfg.do == "ladder":
        return climb(cfg, folder, results, every)
    return run(cfg, folder, results, every=every, chosen=chosen, states=states)


def check(cfg: DictConfig) -> None:
    """Checks values that would otherwise fail only once cells run.

    Raises:
        UserError: A value is not valid.
    """
    require_choice("do", cfg.do, TASKS)
    for name, example in (("sweeps", "[study_attention]"), ("seeds", "[0,1]"), ("overrides", "['trainer=gpu']")):
        if cfg[name] is not None and not isinstance(cfg[name], ListConfig):
            raise UserError(f"{name}={cfg[name]} is not a list; use {name}={example}")
    if not isinstance(cfg.n_jobs, int) or cfg.n_jobs < 1:
        raise UserError(f"n_jobs={cfg.n_jobs} is not a valid number of trainings at once; use 1 or more")
    if cfg.data_dir and not Path(cfg.data_dir).is_dir():
        raise UserError(
            f"data_dir={cfg.data_dir} is not a folder; give the one that contains {{train,test}}/{{real,fake}}/"
        )


def planned(cfg: DictConfig) -> list[StudyCell]:
    """Returns all cells of the study's size."""
    places = [f"data.data_dir={quoted(str(Path(cfg.data_dir).absolute()))}"] if cfg.data_dir else ["data=synthetic"]
    places += [
        f"paths.{name}={quoted(str(Path(cfg.paths[name]).absolute()))}"
        for name in ("index_dir", "faces_dir", "output_root")
    ]
    settings = plain(cfg.size)
    sweeps = [*settings["sweeps"], *(cfg.sweeps or [])]
    every = cells(list(dict.fromkeys(sweeps)), [*settings["overrides"], *cfg.overrides, *places])
    seeds = settings["seeds"]
    return [cell for cell in every if seeds is None or cell.seed in seeds]


def is_chosen(cfg: DictConfig, cell: StudyCell) -> bool:
    """Returns whether `sweeps` and `seeds` select a cell; a variant in several sweeps belongs to each of them."""
    if cfg.seeds is not None and cell.seed not in cfg.seeds:
        return False
    if cfg.sweeps is None:
        return True
    return any(cell.name == other.name for other in cells(list(cfg.sweeps)))


def results_dir(cfg: DictConfig) -> Path:
    """Returns the folder of the results; those of the tiny study stay with it, so that nobody relies on them."""
    if cfg.size.name == "tiny" and cfg.results == "results/study":
        return Path(cfg.paths.output_root, cfg.task, cfg.size.name, "results")
    return Path(cfg.results)


def found_states(
    cfg: DictConfig, folder: StudyFolder, every: Sequence[StudyCell], results: Results
) -> dict[StudyCell, State]:
    """Returns the state of each cell; with `skip_kept`, open cells that are in the results are `kept`."""
    states = {cell: folder.state(cell) for cell in every}
    for cell, state in states.items():
        if cfg.skip_kept and state == "open" and results.row(cell, recipe(cell.config), size=cfg.size.name):
            states[cell] = "kept"
    return states


def keep_new(
    cfg: DictConfig,
    folder: StudyFolder,
    every: Sequence[StudyCell],
    states: Mapping[StudyCell, State],
    results: Results,
) -> None:
    """Adds finished cells that are missing in the results, for example because their driver was killed."""
    for cell in every:
        if states[cell] == "done":
            trained = run_recipe(folder.of(cell) / "config.yaml")
            if results.row(cell, trained, size=cfg.size.name) is None:
                keep(folder, cell, results, size=cfg.size.name)


def keep(folder: StudyFolder, cell: StudyCell, results: Results, *, size: str) -> None:
    """Adds a finished cell to the results and removes the checkpoint that only serves to resume it."""
    collect(folder, cell, results, size=size)
    remove_last(folder.of(cell))


def run(
    cfg: DictConfig,
    folder: StudyFolder,
    results: Results,
    *,
    every: Sequence[StudyCell],
    chosen: Sequence[StudyCell],
    states: dict[StudyCell, State],
) -> int:
    """Trains the chosen cells that are unfinished; once all cells are done, evaluates the best of them."""
    wanted = {"open", "begun", *(["failed"] if cfg.retry else [])}
    jobs = [job(cfg, folder, results, cell, states[cell]) for cell in chosen if states[cell] in wanted]
    for cell in chosen:
        if states[cell] == "changed":
            say(
                f"{cell.name} was trained with a different config and is kept unchanged; remove {folder.of(cell)} "
                "to train it again"
            )
    stopped = drive(jobs, n_jobs=cfg.n_jobs, minutes=cfg.minutes)
    after = found_states(cfg, folder, every, results)
    keep_new(cfg, folder, every, after, results)
    sys.stdout.write(overview(chosen, after, folder, size=cfg.size, n_jobs=cfg.n_jobs))
    if stopped:
        return 128 + stopped
    if any(after[cell] not in DONE for cell in chosen):
        return 1
    return climb(cfg, folder, results, every) if all(after[cell] in DONE for cell in every) else 0


def job(cfg: DictConfig, folder: StudyFolder, results: Results, cell: StudyCell, state: State) -> StudyJob:
    """Makes the job that trains a cell."""

    def finished() -> None:
        keep(folder, cell, results, size=cfg.size.name)

    return training(folder, cell, afresh=state == "failed", finished=finished)


def climb(cfg: DictConfig, folder: StudyFolder, results: Results, every: Sequence[StudyCell]) -> int:
    """Evaluates the best cells unless they have been evaluated; returns the exit code.

    Cells that were trained elsewhere are trained here first, since their weights are needed.
    """
    chosen = best(cfg, results, every) if cfg.ladder else []
    missing = [(cell, state) for cell in chosen if (state := folder.state(cell)) != "done"]
    trainings = [job(cfg, folder, results, cell, state) for cell, state in missing]
    if stopped := drive(trainings, n_jobs=cfg.n_jobs, minutes=cfg.minutes):
        return 128 + stopped
    if any(folder.state(cell) != "done" for cell in chosen):
        return 1
    jobs = ladder_job(cfg, folder, results, chosen)
    if stopped := drive(jobs, n_jobs=1, minutes=cfg.minutes):
        return 128 + stopped
    ended = [read_result(job.folder) for job in jobs]
    return int(any(result is None or result.status != "success" for result in ended))


main = command("study")(study)

if __name__ == "__main__":
    sys.exit(main())
