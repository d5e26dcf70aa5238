"""`--resume FOLDER`: continues a sweep or a run in its folder, without repeating what is finished."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from addnet.errors import UserError
from addnet.overrides import quoted
from addnet.sweeps.record import SWEEP, config_options
from addnet.sweeps.results import Result, read_json, read_result, recorded

FLAG = "--resume"
AUTO = "auto"  # value of ckpt_path: last.ckpt of the run folder, if it exists
_OF_THE_RESUME = ("ckpt_path", "paths.output_dir")
# an environment variable, because joblib and submitit run jobs in other processes
RESUMING = "ADDNET_RESUME"
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def resumed(arguments: Sequence[str]) -> list[str]:
    """Replaces `--resume FOLDER` by the command that is stored in the folder.

    Args:
        arguments: Arguments of the command. Together with `--resume` of a sweep, only `hydra.*` overrides are
            allowed, such as another `hydra.launcher.n_jobs`; with that of a run, any, such as more epochs.

    Returns:
        The arguments to run; unchanged without `--resume`.

    Raises:
        UserError: The folder is not one of a sweep or a run that can be resumed.
    """
    given = [part for argument in arguments for part in _split(argument)]
    if FLAG not in given:
        return list(arguments)
    at = given.index(FLAG)
    if at + 1 == len(given):
        raise UserError(f"{FLAG} needs the folder of a sweep or a run, such as outputs/train/TIME")
    folder = Path(given[at + 1]).expanduser().absolute()
    rest = given[:at] + given[at + 2 :]
    return _resumed_sweep(folder, rest) if (folder / SWEEP).is_file() else _resumed_run(folder, rest)


def _resumed_sweep(folder: Path, rest: Sequence[str]) -> list[str]:
    """Returns the command of a sweep, and changes to the directory in which it was given."""
    rest = [argument for argument in rest if argument not in ("-m", "--multirun")]
    if wrong := [argument for argument in rest if not argument.startswith("hydra.")]:
        raise UserError(f"{FLAG} repeats the stored command; {' '.join(wrong)} cannot be changed, only hydra.* can")
    record = _stored(folder)
    os.chdir(record["cwd"])
    os.environ[RESUMING] = "1"
    options, overrides = config_options(record["arguments"])
    return ["--multirun", *options, *overrides, *rest, f"hydra.sweep.dir={quoted(str(folder))}"]


def _resumed_run(folder: Path, rest: Sequence[str]) -> list[str]:
    """Returns the arguments of a run that continue from its last checkpoint; overrides given now take precedence.

    The run folder may have been renamed or moved: the folder that is given now counts, not the recorded one.
    """
    recorded, hydra = folder / ".hydra" / "overrides.yaml", folder / ".hydra" / "hydra.yaml"
    if not recorded.is_file() or not hydra.is_file():
        raise UserError(
            f"{folder} is not the folder of a sweep or a run: it has neither {SWEEP} nor .hydra/overrides.yaml; {FLAG} "
            "takes the folder above checkpoints/, or the one above the jobs of a sweep"
        )
    runtime = OmegaConf.load(hydra).hydra.runtime
    if not Path(runtime.cwd).is_dir():
        raise UserError(
            f"{folder} was started in {runtime.cwd}, which no longer exists; restore that folder, since relative paths "
            "start there"
        )
    os.chdir(runtime.cwd)
    replaced = {*map(_key, rest), *_OF_THE_RESUME}
    kept = [str(override) for override in OmegaConf.load(recorded) if _key(str(override)) not in replaced]
    own = [f"--config-dir={source.path}" for source in runtime.config_sources if source.provider == "command-line"]
    return [*own, *kept, f"ckpt_path={AUTO}", f"hydra.run.dir={quoted(str(folder))}", *rest]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def resuming() -> bool:
    """Returns whether this process belongs to a resumed sweep."""
    return RESUMING in os.environ


def done_before(run_dir: Path) -> Result | None:
    """Returns the result of a job that needn't be repeated in a resumed sweep; otherwise None."""
    result = read_result(run_dir) if resuming() else None
    return result if result and result.status == "success" else None


def checkpoint_to_go_on(run_dir: Path) -> Path | None:
    """Returns the checkpoint from which an interrupted job continues in a resumed sweep.

    None if no sweep is being resumed, if there is no checkpoint, or if the job failed with an error.
    """
    last = run_dir / "checkpoints" / "last.ckpt"
    if not resuming() or not last.is_file():
        return None
    return last if cut_short(read_result(run_dir)) else None


def cut_short(result: Result | None) -> bool:
    """Returns whether a job was interrupted or killed, so that it can continue; an error would only occur again."""
    return result is None or result.status == "interrupted" or result.killed_by is not None


def run_recorded(task: Callable[[DictConfig, Result], float | None], cfg: DictConfig) -> float | None:
    """Runs a job in `cfg.paths.output_dir` and writes its `result.json` there.

    With a launcher that starts jobs itself (joblib, submitit), a resumed sweep also skips finished jobs here.
    """
    run_dir = Path(cfg.paths.output_dir)
    if before := done_before(run_dir):
        return before.score
    if last := checkpoint_to_go_on(run_dir):
        OmegaConf.update(cfg, "ckpt_path", str(last))
    with recorded(run_dir) as result:
        result.score = task(cfg, result)
    return result.score


def _split(argument: str) -> list[str]:
    return [FLAG, argument.removeprefix(f"{FLAG}=")] if argument.startswith(f"{FLAG}=") else [argument]


def _stored(folder: Path) -> dict[str, Any]:
    """Reads `sweep.json` of a sweep that can be resumed."""
    record = read_json(folder / SWEEP) if folder.is_dir() else None
    if record is None:
        raise UserError(
            f"{folder} is not the folder of a sweep: it has no {SWEEP}; {FLAG} takes the folder above the jobs"
        )
    if record["sweeper"] != BASIC_SWEEPER:
        raise UserError(
            f"{folder} is a search by {record['sweeper']}, which draws other jobs each time; to continue the search, "
            "start it again with the same hydra.sweeper.storage and hydra.sweeper.study_name"
        )
    if not Path(record["cwd"]).is_dir():
        raise UserError(
            f"{folder} was started in {record['cwd']}, which no longer exists; restore that folder, since relative "
            "paths start there"
        )
    return dict(record)
