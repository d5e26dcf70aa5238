"""Determines the rank of this process and where it writes, whether Lightning, torchrun or SLURM started it."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from addnet.errors import UserError

if TYPE_CHECKING:
    from pytorch_lightning.plugins.environments import SLURMEnvironment

RUN = "ADDNET_RUN"  # name of the run folder, the same in all processes of a run (see configs/paths/default.yaml)
_SPINS, _WAITS = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
_console: list[int] = []


def share_cores() -> None:
    """Makes torch's threads sleep after a short wait for one another; has to be called before torch is imported.

    By default they spin for milliseconds at the end of each operation. Where loader processes or other programs use the
    same cores, they take time from the threads they are waiting for, and a step can take ten times as long.
    """
    if _WAITS not in os.environ:  # the user's choice
        os.environ.setdefault(_SPINS, "1000")  # of GNU's OpenMP: about the time that sleeping and waking up takes


def join_run(arguments: list[str]) -> list[str]:
    """Joins the processes that torchrun or SLURM started into one run.

    Each process composes its own config: without this, each would name a run folder after its own start time.

    Args:
        arguments: Arguments of the command.

    Returns:
        The arguments; except in the main process, with overrides that send its output to a separate file.

    Raises:
        UserError: Several processes were started to run a sweep.
    """
    if _launched_outside() and any(a in ("-m", "--multirun") or a.startswith("sweep=") for a in arguments):
        raise UserError("a sweep starts its jobs itself: start it once, without torchrun and with --ntasks=1")
    if RUN not in os.environ and (name := _name_of_run()):
        os.environ[RUN] = name
    if not (process := process_name()):
        return arguments
    own = [f"hydra.job.name=train_{process}", "hydra.output_subdir=null", "hydra.job_logging.root.handlers=[file]"]
    return [*arguments, *own]


def process_name() -> str | None:
    """Returns `rank<n>` for a process other than the main one; None for the main process or the only one."""
    env = os.environ
    if "RANK" in env:  # torchrun
        return _named(int(env["RANK"]))
    if _in_slurm():
        return _named(int(env["SLURM_PROCID"]))
    node, local = int(env.get("NODE_RANK", 0)), int(env.get("LOCAL_RANK", 0))  # Lightning's own children
    return f"node{node}_rank{local}" if node else _named(local)


def command_form() -> list[str]:
    """Returns the command that started this program: `[python, -m, addnet.train]` or `[python, script]`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return [sys.executable, "-m", spec.name]
    script = Path(sys.argv[0])
    return (
        [sys.executable, os.fspath(script.absolute())] if script.is_file() else [sys.executable, "-m", "addnet.train"]
    )


def divert_output(file: Path) -> None:
    """Redirects all further output of this process, including warnings and tracebacks, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    _console.append(os.dup(2))
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def last_words(text: str) -> None:
    """Prints why this process ends on the console if its output goes to a file; does nothing in the main process."""
    for console in _console:
        os.write(console, f"{process_name()}: {text}\n".encode())


def slurm_environment() -> SLURMEnvironment:
    """Returns Lightning's SLURM environment, without requeueing, which `scripts/slurm_train.sh` does.

    Lightning 2.6.6 would write its checkpoint in the signal handler, during a step.

    Raises:
        UserError: srun didn't start this process.
    """
    from pytorch_lightning.plugins.environments import SLURMEnvironment

    if not _in_slurm():
        raise UserError("trainer=slurm works only under srun: see scripts/slurm_train.sh, or use trainer=ddp")
    return SLURMEnvironment(auto_requeue=False)


def _named(rank: int) -> str | None:
    return f"rank{rank}" if rank else None


def _launched_outside() -> bool:
    """Returns whether torchrun or SLURM started several processes of this command."""
    torchrun = "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1
    return torchrun or (_in_slurm() and int(os.environ["SLURM_NTASKS"]) > 1)


def _in_slurm() -> bool:
    """Returns whether srun started this process; like Lightning, this ignores interactive shells."""
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return {"SLURM_NTASKS", "SLURM_PROCID"} <= set(os.environ) and not interactive


def _name_of_run() -> str | None:
    """Returns a name of the run that is the same in all its processes; None if there is only one process."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _agreed(datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f"))
    if _in_slurm() and "SLURM_STEP_ID" in os.environ:  # a requeued job keeps its number, and so its folder
        return f"slurm-{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}"
    return None


def _agreed(proposal: str) -> str:
    """Returns the proposal of the first process, through torchrun's store, which survives a restart of the workers."""
    from torch import distributed  # slow to import; only needed with torchrun

    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise UserError(
            f"torchrun shares no store with its workers: set {RUN}=<name of the run folder> for all of them"
        )
    store = distributed.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)  # type: ignore[attr-defined]
    if os.environ["RANK"] == "0":
        return str(store.compare_set("addnet/run", "", proposal).decode())
    return str(store.get("addnet/run").decode())
