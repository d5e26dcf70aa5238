"""`addnet study`: the sweeps of a study in one folder, in pieces, and what they found in `results/`.

Each cell is an ordinary training in a run folder of its own. What is done is never trained again, also when sweeps are
added; what was cut short goes on from its last checkpoint. Exits with 1 if a cell isn't done, with 2 if an argument is
wrong, and with 128 and the number of the signal that stopped it.
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
    """Does what a composed config asks for.

    Args:
        cfg: `configs/study.yaml` composed.

    Raises:
        UserError: A value is not valid.
    """
    check(cfg)
    every = planned(cfg)
    chosen = [cell for cell in every if is_chosen(cfg, cell)]
    if not chosen:
        raise UserError(f"sweeps={cfg.sweeps} seeds={cfg.seeds} leave no cell; see addnet study do=list")
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
    """Refuses what would only fail once cells run.

    Raises:
        UserError: A value is not valid.
    """
    require_choice("do", cfg.do, TASKS)
    for name, example in (("sweeps", "[study_attention]"), ("seeds", "[0,1]"), ("overrides", "['trainer=gpu']")):
        if cfg[name] is not None and not isinstance(cfg[name], ListConfig):
            raise UserError(f"{name}={cfg[name]} is not a list; use {name}={example}")
    if not isinstance(cfg.n_jobs, int) or cfg.n_jobs < 1:
        raise UserError(f"n_jobs={cfg.n_jobs} runs nothing; 1 or more trainings can run at once")
    if cfg.data_dir and not Path(cfg.data_dir).is_dir():
        raise UserError(f"data_dir={cfg.data_dir}: there is no such folder; it holds {{train,test}}/{{real,fake}}/")


def planned(cfg: DictConfig) -> list[StudyCell]:
    """All cells of a size."""
    places = [f"data.data_dir={quoted(str(Path(cfg.data_dir).absolute()))}"] if cfg.data_dir else ["data=synthetic"]
    places += [
        f"paths.{name}={quoted(str(Path(cfg.paths[name]).absolute()))}"
        for name in ("index_dir", "faces_dir", "output_root")
    ]
    settings = plain(cfg.size)
    sweeps = [*settings["sweeps"], *(cfg.sweeps or [])]
    found = cells(list(dict.fromkeys(sweeps)), [*settings["overrides"], *cfg.overrides, *places])
    seeds = settings["seeds"]
    return [cell for cell in found if seeds is None or cell.seed in seeds]


def is_chosen(cfg: DictConfig, cell: StudyCell) -> bool:
    """Whether a cell is to be worked at now: a variant that several sweeps share belongs to each."""
    if cfg.seeds is not None and cell.seed not in cfg.seeds:
        return False
    if cfg.sweeps is None:
        return True
    return any(cell.name == other.name for other in cells(list(cfg.sweeps)))


def results_dir(cfg: DictConfig) -> Path:
    """Where finished cells go: those of the tiny study beside it, where they are never taken for findings."""
    if cfg.size.name == "tiny" and cfg.results == "results/study":
        return Path(cfg.paths.output_root, cfg.task, cfg.size.name, "results")
    return Path(cfg.results)


def found_states(
    cfg: DictConfig, folder: StudyFolder, every: Sequence[StudyCell], results: Results
) -> dict[StudyCell, State]:
    """How far each cell is; with `skip_kept` those that only the results have are `kept`."""
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
    """Puts the finished cells that the results lack into them, such as those whose driver was killed."""
    for cell in every:
        if states[cell] == "done":
            told = run_recipe(folder.of(cell) / "config.yaml")
            if results.row(cell, told, size=cfg.size.name) is None:
                keep(folder, cell, results, size=cfg.size.name)


def keep(folder: StudyFolder, cell: StudyCell, results: Results, *, size: str) -> None:
    """Puts a finished cell into the results and takes away what only serves to train on."""
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
    """Trains what is left of the chosen cells, then evaluates the best of all."""
    wanted = {"open", "begun", *(["failed"] if cfg.retry else [])}
    jobs = [job(cfg, folder, results, cell, states[cell]) for cell in chosen if states[cell] in wanted]
    for cell in chosen:
        if states[cell] == "changed":
            say(
                f"{cell.name} was trained by another config than the present one, and is left as it is; remove "
                f"{folder.of(cell)} to have it trained again"
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
    """The training of a cell."""

    def finished() -> None:
        keep(folder, cell, results, size=cfg.size.name)

    return training(folder, cell, afresh=state == "failed", finished=finished)


def climb(cfg: DictConfig, folder: StudyFolder, results: Results, every: Sequence[StudyCell]) -> int:
    """Evaluates the best cells, unless these have been evaluated; returns the exit code.

    What was trained elsewhere is trained here first, for its weights.
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
