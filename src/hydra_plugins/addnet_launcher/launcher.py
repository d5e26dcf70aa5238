"""Hydra launcher `isolated`: runs each job of a sweep as a single run in a separate process.

No state leaks from job to job, a job that dies doesn't affect the others, and DDP works: Lightning repeats the command
of a process for each rank, and here that command is a single run, not the sweep.
"""

# no `from __future__ import annotations`: Hydra's plugin search doesn't register the module that dataclasses look up
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from addnet.console import shown_path
from addnet.launch import command_form
from addnet.mistyped import answer
from addnet.overrides import quoted
from addnet.sweeps.processes import environment, run_all, start_process, visible_devices
from addnet.sweeps.record import PlannedJob, SweepError, config_options, plan, planned
from addnet.sweeps.results import RESULT, Result, read_result, write_result
from addnet.sweeps.resume import BASIC_SWEEPER, checkpoint_to_go_on, done_before, resuming

log = logging.getLogger(__name__)

# overrides that concern the sweep, not its jobs
OF_THE_SWEEP = ("hydra.mode=", "hydra.run.dir=", "hydra.sweep.", "hydra.sweeper.", "hydra.launcher.")


@dataclass
class IsolatedLauncherConf:
    """Options of `hydra/launcher=isolated`.

    Attributes:
        n_jobs: Number of jobs that run at once; each writes to its `console.log`.
    """

    _target_: str = "hydra_plugins.addnet_launcher.launcher.IsolatedLauncher"
    n_jobs: int = 1


ConfigStore.instance().store(group="hydra/launcher", name="isolated", node=IsolatedLauncherConf, provider="addnet")


@dataclass
class LaunchedJob:
    """A job to launch: its number, overrides, folder, and its composed config or the reason why there is none."""

    number: int
    overrides: list[str]
    folder: Path
    config: DictConfig | None = None
    refusal: str = ""
    arguments: list[str] = field(default_factory=list)


class FailedJob(JobReturn):
    """The return of a failed job: a sweeper that needs its value gets the reason as an exception."""

    @property  # type: ignore[misc]  # never set from outside
    def return_value(self) -> Any:
        """Raises the reason, except for a sweeper that would only skip the remaining jobs because of it."""
        if self._return_value is not None:
            raise self._return_value
        return None


class IsolatedLauncher(Launcher):
    """Starts jobs as single runs.

    Args:
        n_jobs: Number of jobs at once.
    """

    def __init__(self, n_jobs: int = 1) -> None:
        self.n_jobs = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Stores the objects that Hydra passes to every launcher."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        if self.n_jobs < 1:
            raise SweepError(f"hydra.launcher.n_jobs={self.n_jobs} is not a valid number of jobs; use 1 or more")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs and returns their results after all have ended.

        Raises:
            SweepError: A resumed sweep would run other jobs than before.
            SystemExit: A signal stopped the sweep; the code is 128 plus its number, as in shells.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        sweep_dir = Path(str(self.config.hydra.sweep.dir)).absolute()
        jobs = [self._compose(initial_job_idx + at, list(o), sweep_dir) for at, o in enumerate(job_overrides)]
        _order(sweep_dir, jobs)
        log.info("%d %s, %d at once, in %s", len(jobs), _jobs(len(jobs)), self.n_jobs, shown_path(sweep_dir))
        devices = visible_devices() if self.n_jobs > 1 else []
        fixed, waiting = self._fixed(), [job for job in jobs if self._is_to_run(job)]
        from addnet.sweeps.board import Board  # imports rich: Hydra imports this module for every command

        board = Board(len(waiting))

        def start(job: LaunchedJob, slot: int) -> subprocess.Popen[bytes]:
            console = job.folder / "console.log"
            board.start(job.number, _settings(job, fixed), output=console)
            if not board.is_drawn:
                log.info("#%d starts: %s", job.number, _settings(job, fixed))
            (job.folder / RESULT).unlink(missing_ok=True)
            surroundings = environment(slot, n_jobs=self.n_jobs, devices=devices, ranks=_ranks(job.config))
            return start_process([*command_form(), *job.arguments], surroundings, console=console)

        def end(job: LaunchedJob, code: int, stopping: bool) -> None:
            board.end(job.number)
            _end(job, code, stopping, settings=_settings(job, fixed))

        with board.shown():
            stopped = run_all(waiting, n_jobs=self.n_jobs, start=start, end=end)
        if stopped:
            raise SystemExit(128 + stopped)
        return [self._returned(job) for job in jobs]

    def _compose(self, number: int, overrides: list[str], sweep_dir: Path) -> LaunchedJob:
        """Composes the config of a job; an error in it makes only this job fail, not the sweep."""
        outside = HydraConfig.instance().cfg
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
            with open_dict(config):
                config.hydra.job.id, config.hydra.job.num = str(number), number
            HydraConfig.instance().set_config(config)
            folder = sweep_dir / str(OmegaConf.select(config, "hydra.sweep.subdir"))
        except (HydraException, OmegaConfBaseException) as error:
            refusal = answer(error, [o for o in overrides if not o.startswith("hydra.")]).strip()
            return LaunchedJob(number, overrides, sweep_dir / str(number), refusal=refusal)
        finally:
            HydraConfig.instance().cfg = outside
        job = LaunchedJob(number, overrides, folder, config)
        job.arguments = self._arguments(job)
        return job

    def _arguments(self, job: LaunchedJob) -> list[str]:
        """Returns the arguments of a job: those of the command without the sweep's own, and the job's overrides."""
        arguments = config_options(sys.argv[1:])[0]
        ours = OmegaConf.to_container(self.config.hydra.overrides.hydra)
        arguments += [str(o) for o in ours if not str(o).lstrip("+~").startswith(OF_THE_SWEEP)]  # type: ignore[union-attr]
        arguments += job.overrides
        if last := checkpoint_to_go_on(job.folder):
            arguments.append(f"ckpt_path={quoted(str(last))}")
        arguments += [f"hydra.job.num={job.number}", f"hydra.job.id={job.number}"]
        return [*arguments, "hydra.mode=RUN", f"hydra.run.dir={quoted(str(job.folder))}"]

    def _fixed(self) -> set[str]:
        """Returns the keys for which the command gives a single value, the same for all jobs."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = parser.parse_overrides([str(o) for o in self.config.hydra.overrides.task])
        return {override.get_key_element() for override in given if not override.is_sweep_override()}

    def _is_to_run(self, job: LaunchedJob) -> bool:
        if job.refusal:
            write_result(job.folder, Result(reason=job.refusal))
            log.error("#%d %s", job.number, Result(reason=job.refusal).in_a_line())
            return False
        if before := done_before(job.folder):
            log.info("#%d is already done: %s", job.number, _score_text(before.score))
            return False
        return True

    def _returned(self, job: LaunchedJob) -> JobReturn:
        result = read_result(job.folder) or Result(reason="no result")
        fields: dict[str, Any] = {"overrides": job.overrides, "working_dir": str(Path.cwd())}
        if job.config is not None:
            fields["cfg"] = OmegaConf.masked_copy(job.config, [str(key) for key in job.config if key != "hydra"])
            fields["hydra_cfg"] = OmegaConf.masked_copy(job.config, ["hydra"])
            fields["task_name"] = job.config.hydra.job.name
        # Hydra's own sweeper reads values only to stop before its next batch; it doesn't set the exit code
        indifferent = self.config.hydra.sweeper._target_ == BASIC_SWEEPER
        if result.status == "success" and (indifferent or result.score is not None):
            return JobReturn(**fields, status=JobStatus.COMPLETED, _return_value=result.score)
        reason = (
            result.reason or "it has no score; a sweeper that searches needs jobs with train=true and a best checkpoint"
        )
        error = None if indifferent else SweepError(f"job {job.number}: {reason}")
        return FailedJob(**fields, status=JobStatus.FAILED, _return_value=error)


def _order(sweep_dir: Path, jobs: list[LaunchedJob]) -> None:
    """Records the jobs of the sweep; the command of a resumed sweep must yield the same jobs."""
    ordered = [PlannedJob(job.number, str(job.folder.relative_to(sweep_dir)), tuple(job.overrides)) for job in jobs]
    before = {job.number: job for job in planned(sweep_dir)} if resuming() else {}
    for job in ordered:
        if job.number in before and before[job.number] != job:
            was, now = (" ".join(filter_overrides(one.overrides)) for one in (before[job.number], job))
            raise SweepError(
                f"the command of {sweep_dir} now yields other jobs: number {job.number} was '{was}' and would be "
                f"'{now}'; start a new sweep, and merge both with addnet summarize"
            )
    plan(sweep_dir, ordered)


def _end(job: LaunchedJob, code: int, stopping: bool, *, settings: str) -> None:
    """Logs how a job ended, and writes its result if the job itself couldn't."""
    result = read_result(job.folder)
    if result is None:
        result = Result(status="interrupted" if stopping else "failed", reason=_death(code))
        result.killed_by = -code if code < 0 else None
        write_result(job.folder, result)
    if result.status == "success":
        log.info("#%d %s: %s after %.0f s", job.number, settings, _score_text(result.score), result.seconds or 0)
        if code:
            log.warning("#%d finished, but then its process failed: %s", job.number, _death(code))
    else:
        log.error("#%d %s", job.number, result.in_a_line())


def _death(code: int) -> str:
    if code >= 0:
        return f"exited with code {code} without giving a reason; see its output"
    memory = "; out of memory?" if -code == signal.SIGKILL else ""
    return f"killed by signal {-code} ({signal.Signals(-code).name}){memory}"


def _ranks(config: DictConfig | None) -> int:
    """Returns the number of processes that a job starts; a list of devices or `auto` counts as one."""
    devices = OmegaConf.select(config, "trainer.devices") if config is not None else 1
    return devices if isinstance(devices, int) and devices > 0 else 1


def _settings(job: LaunchedJob, fixed: set[str]) -> str:
    """Returns the overrides that distinguish a job from the others."""
    return " ".join(o for o in job.overrides if o.split("=")[0] not in fixed) or "defaults"


def _score_text(score: float | None) -> str:
    return "no score" if score is None else f"score {score:.4f}"


def _jobs(number: int) -> str:
    return "job" if number == 1 else "jobs"
