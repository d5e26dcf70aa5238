"""`--resume FOLDER`: the same sweep or run again, in the same folder, without what is already done."""

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
AUTO = "auto"  # of ckpt_path: last.ckpt of the run folder, if there is one
_OF_THE_RESUME = ("ckpt_path", "paths.output_dir")
# an environment variable, because joblib's and submitit's jobs are processes of their own
RESUMING = "ADDNET_RESUME"
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def resumed(arguments: Sequence[str]) -> list[str]:
    """Replaces `--resume FOLDER` by the command that is stored there.

    Args:
        arguments: Of the command. Beside `--resume` of a sweep only `hydra.*` overrides may stand, such as another
            `hydra.launcher.n_jobs`; beside that of a run any, such as more epochs.

    Returns:
        The arguments to run; unchanged where nothing is to be resumed.

    Raises:
        UserError: The folder is no sweep or run that can be continued.
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
    """The command of a sweep, in the directory it was given in."""
    rest = [argument for argument in rest if argument not in ("-m", "--multirun")]
    if wrong := [argument for argument in rest if not argument.startswith("hydra.")]:
        raise UserError(f"{FLAG} repeats the stored command; {' '.join(wrong)} cannot be changed, only hydra.* can")
    told = _stored(folder)
    os.chdir(told["cwd"])
    os.environ[RESUMING] = "1"
    options, overrides = config_options(told["arguments"])
    return ["--multirun", *options, *overrides, *rest, f"hydra.sweep.dir={quoted(str(folder))}"]


def _resumed_run(folder: Path, rest: Sequence[str]) -> list[str]:
    """The overrides of a run, from its last checkpoint if it has written one; those that are given now win.

    A run folder may have been renamed or moved: the folder is what was named now, not what was recorded.
    """
    recorded, hydra = folder / ".hydra" / "overrides.yaml", folder / ".hydra" / "hydra.yaml"
    if not recorded.is_file() or not hydra.is_file():
        raise UserError(
            f"{folder} is no folder of a sweep or a run: it has neither {SWEEP} nor .hydra/overrides.yaml; {FLAG} "
            "takes the folder above checkpoints/, or the one above the jobs of a sweep"
        )
    runtime = OmegaConf.load(hydra).hydra.runtime
    if not Path(runtime.cwd).is_dir():
        raise UserError(f"{folder} was started in {runtime.cwd}, which is gone; its relative paths lead nowhere")
    os.chdir(runtime.cwd)
    replaced = {*map(_key, rest), *_OF_THE_RESUME}
    kept = [str(override) for override in OmegaConf.load(recorded) if _key(str(override)) not in replaced]
    own = [f"--config-dir={source.path}" for source in runtime.config_sources if source.provider == "command-line"]
    return [*own, *kept, f"ckpt_path={AUTO}", f"hydra.run.dir={quoted(str(folder))}", *rest]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def resuming() -> bool:
    """Whether this process belongs to a sweep that is resumed."""
    return RESUMING in os.environ


def done_before(run_dir: Path) -> Result | None:
    """While a sweep is resumed: the result of a job that needn't be repeated."""
    result = read_result(run_dir) if resuming() else None
    return result if result and result.status == "success" else None


def checkpoint_to_go_on(run_dir: Path) -> Path | None:
    """While a sweep is resumed: where a job that was cut short goes on; None for one that failed by an error."""
    last = run_dir / "checkpoints" / "last.ckpt"
    if not resuming() or not last.is_file():
        return None
    return last if cut_short(read_result(run_dir)) else None


def cut_short(result: Result | None) -> bool:
    """Whether a job can go on where it was: it was interrupted or killed; an error would only come again."""
    return result is None or result.status == "interrupted" or result.killed_by is not None


def run_recorded(task: Callable[[DictConfig, Result], float | None], cfg: DictConfig) -> float | None:
    """Runs a job in `cfg.paths.output_dir` and leaves its `result.json` there.

    With a launcher that starts jobs itself (joblib, submitit), this is also where a resumed sweep skips what is done.
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
    told = read_json(folder / SWEEP) if folder.is_dir() else None
    if told is None:
        raise UserError(f"{folder} is no folder of a sweep: it has no {SWEEP}; {FLAG} takes the folder above the jobs")
    if told["sweeper"] != BASIC_SWEEPER:
        raise UserError(
            f"{folder} was searched by {told['sweeper']}, which draws other jobs each time; start it again with the "
            "hydra.sweeper.storage and hydra.sweeper.study_name it had, to go on with what it has learned"
        )
    if not Path(told["cwd"]).is_dir():
        raise UserError(f"{folder} was started in {told['cwd']}, which is gone; its relative paths lead nowhere")
    return dict(told)
