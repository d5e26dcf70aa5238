"""Hydra launcher `isolated`: each job of a sweep is an ordinary single run in a process of its own.

Nothing leaks from job to job, a job that dies takes no other with it, and DDP works: Lightning repeats the command of a
process for each rank, and here that command is a single run, not the sweep.
"""

# no `from __future__ import annotations`: Hydra's search for plugins registers no module, where dataclasses would look
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
from addnet.sweeps.board import Board
from addnet.sweeps.processes import environment, run_all, start_process, visible_devices
from addnet.sweeps.record import PlannedJob, SweepError, config_options, plan, planned
from addnet.sweeps.results import RESULT, Result, read_result, write_result
from addnet.sweeps.resume import BASIC_SWEEPER, checkpoint_to_go_on, done_before, resuming

log = logging.getLogger(__name__)

# decided by the sweep, not by its jobs
OF_THE_SWEEP = ("hydra.mode=", "hydra.run.dir=", "hydra.sweep.", "hydra.sweeper.", "hydra.launcher.")


@dataclass
class IsolatedLauncherConf:
    """Options of `hydra/launcher=isolated`.

    Attributes:
        n_jobs: How many jobs run at once; each writes to its `console.log`.
    """

    _target_: str = "hydra_plugins.addnet_launcher.launcher.IsolatedLauncher"
    n_jobs: int = 1


ConfigStore.instance().store(group="hydra/launcher", name="isolated", node=IsolatedLauncherConf, provider="addnet")


@dataclass
class LaunchedJob:
    """A job on its way: its order, its folder, and its composed config or why there is none."""

    number: int
    overrides: list[str]
    folder: Path
    config: DictConfig | None = None
    refusal: str = ""
    arguments: list[str] = field(default_factory=list)


class FailedJob(JobReturn):
    """Return of a failed job: a sweeper that needs its value gets the reason as an exception."""

    @property  # type: ignore[misc]  # never set from outside
    def return_value(self) -> Any:
        """Raises, unless the sweeper would only take that as a sign to drop the jobs that are left."""
        if self._return_value is not None:
            raise self._return_value
        return None


class IsolatedLauncher(Launcher):
    """Starts jobs as single runs.

    Args:
        n_jobs: How many at once.
    """

    def __init__(self, n_jobs: int = 1) -> None:
        self.n_jobs = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what Hydra hands to every launcher."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        if self.n_jobs < 1:
            raise SweepError(f"hydra.launcher.n_jobs={self.n_jobs} runs nothing; 1 or more jobs can run at once")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs; returns what each returned once all have ended.

        Raises:
            SweepError: A resumed sweep would run other jobs than it did before.
            SystemExit: A signal stopped the sweep; 128 and its number, as shells have it.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        sweep_dir = Path(str(self.config.hydra.sweep.dir)).absolute()
        jobs = [self._compose(initial_job_idx + at, list(o), sweep_dir) for at, o in enumerate(job_overrides)]
        _order(sweep_dir, jobs)
        log.info("%d %s, %d at once, in %s", len(jobs), _jobs(len(jobs)), self.n_jobs, shown_path(sweep_dir))
        devices = visible_devices() if self.n_jobs > 1 else []
        fixed, waiting = self._fixed(), [job for job in jobs if self._is_to_run(job)]
        board = Board(len(waiting))

        def start(job: LaunchedJob, slot: int) -> subprocess.Popen[bytes]:
            console = job.folder / "console.log"
            board.start(job.number, _told(job, fixed), output=console)
            if not board.is_drawn:
                log.info("#%d starts: %s", job.number, _told(job, fixed))
            (job.folder / RESULT).unlink(missing_ok=True)
            surroundings = environment(slot, n_jobs=self.n_jobs, devices=devices, ranks=_ranks(job.config))
            return start_process([*command_form(), *job.arguments], surroundings, console=console)

        def end(job: LaunchedJob, code: int, stopping: bool) -> None:
            board.end(job.number)
            _end(job, code, stopping, told=_told(job, fixed))

        with board.shown():
            stopped = run_all(waiting, n_jobs=self.n_jobs, start=start, end=end)
        if stopped:
            raise SystemExit(128 + stopped)
        return [self._returned(job) for job in jobs]

    def _compose(self, number: int, overrides: list[str], sweep_dir: Path) -> LaunchedJob:
        """A job with its folder; what its config lacks becomes its reason of failure, not the sweep's."""
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
        """The command line of a job: the sweep's without what is about the sweep, and the job's own overrides."""
        arguments = config_options(sys.argv[1:])[0]
        ours = OmegaConf.to_container(self.config.hydra.overrides.hydra)
        arguments += [str(o) for o in ours if not str(o).lstrip("+~").startswith(OF_THE_SWEEP)]  # type: ignore[union-attr]
        arguments += job.overrides
        if last := checkpoint_to_go_on(job.folder):
            arguments.append(f"ckpt_path={quoted(str(last))}")
        arguments += [f"hydra.job.num={job.number}", f"hydra.job.id={job.number}"]
        return [*arguments, "hydra.mode=RUN", f"hydra.run.dir={quoted(str(job.folder))}"]

    def _fixed(self) -> set[str]:
        """Keys that the command gives one value for all jobs."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = parser.parse_overrides([str(o) for o in self.config.hydra.overrides.task])
        return {override.get_key_element() for override in given if not override.is_sweep_override()}

    def _is_to_run(self, job: LaunchedJob) -> bool:
        if job.refusal:
            write_result(job.folder, Result(reason=job.refusal))
            log.error("#%d %s", job.number, Result(reason=job.refusal).in_a_line())
            return False
        if before := done_before(job.folder):
            log.info("#%d is done already: %s", job.number, _score_text(before.score))
            return False
        return True

    def _returned(self, job: LaunchedJob) -> JobReturn:
        result = read_result(job.folder) or Result(reason="no result")
        told: dict[str, Any] = {"overrides": job.overrides, "working_dir": str(Path.cwd())}
        if job.config is not None:
            told["cfg"] = OmegaConf.masked_copy(job.config, [str(key) for key in job.config if key != "hydra"])
            told["hydra_cfg"] = OmegaConf.masked_copy(job.config, ["hydra"])
            told["task_name"] = job.config.hydra.job.name
        # Hydra's own sweeper looks at values only to stop before its next batch, and the exit code is not its matter
        indifferent = self.config.hydra.sweeper._target_ == BASIC_SWEEPER
        if result.status == "success" and (indifferent or result.score is not None):
            return JobReturn(**told, status=JobStatus.COMPLETED, _return_value=result.score)
        reason = result.reason or "it has no score; a sweeper that searches needs train=true and a best checkpoint"
        error = None if indifferent else SweepError(f"job {job.number}: {reason}")
        return FailedJob(**told, status=JobStatus.FAILED, _return_value=error)


def _order(sweep_dir: Path, jobs: list[LaunchedJob]) -> None:
    """Writes down which jobs belong to the sweep; a resumed one must make the same again."""
    ordered = [PlannedJob(job.number, str(job.folder.relative_to(sweep_dir)), tuple(job.overrides)) for job in jobs]
    before = {job.number: job for job in planned(sweep_dir)} if resuming() else {}
    for job in ordered:
        if job.number in before and before[job.number] != job:
            was, now = (" ".join(filter_overrides(one.overrides)) for one in (before[job.number], job))
            raise SweepError(
                f"the command of {sweep_dir} now makes other jobs: number {job.number} was '{was}' and would be "
                f"'{now}'; start a new sweep, and merge both by addnet summarize"
            )
    plan(sweep_dir, ordered)


def _end(job: LaunchedJob, code: int, stopping: bool, *, told: str) -> None:
    """Says how a job ended, and writes it down where the job couldn't."""
    result = read_result(job.folder)
    if result is None:
        result = Result(status="interrupted" if stopping else "failed", reason=_death(code))
        result.killed_by = -code if code < 0 else None
        write_result(job.folder, result)
    if result.status == "success":
        log.info("#%d %s: %s after %.0f s", job.number, told, _score_text(result.score), result.seconds or 0)
        if code:
            log.warning("#%d had its result, but then its process ended badly: %s", job.number, _death(code))
    else:
        log.error("#%d %s", job.number, result.in_a_line())


def _death(code: int) -> str:
    if code >= 0:
        return f"exited with {code} and didn't say why; what it printed tells more"
    memory = "; out of memory?" if -code == signal.SIGKILL else ""
    return f"killed by signal {-code} ({signal.Signals(-code).name}){memory}"


def _ranks(config: DictConfig | None) -> int:
    """Processes that a job starts; a list of devices or `auto` counts as one."""
    devices = OmegaConf.select(config, "trainer.devices") if config is not None else 1
    return devices if isinstance(devices, int) and devices > 0 else 1


def _told(job: LaunchedJob, fixed: set[str]) -> str:
    return " ".join(o for o in job.overrides if o.split("=")[0] not in fixed) or "as it is"


def _score_text(score: float | None) -> str:
    return "no score" if score is None else f"score {score:.4f}"


def _jobs(number: int) -> str:
    return "job" if number == 1 else "jobs"
