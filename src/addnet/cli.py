"""What every command shares: errors in plain words, and suggestions for mistyped keys."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from addnet.config import compose, config_dir
from addnet.errors import RunStoppedError, UserError
from addnet.launch import join_run, last_words, process_name
from addnet.sweeps.record import SweepError, begun
from addnet.sweeps.resume import resumed

log = logging.getLogger(__name__)

Task = Callable[[DictConfig], Any]


class Command:
    """Runs a Hydra command so that a user's mistake ends in a sentence and a non-zero exit code.

    Args:
        hydra_main: The function that `hydra.main` made, without its argument.
        config_name: The file in `configs/` that it reads.
    """

    def __init__(self, hydra_main: Callable[[], Any], *, config_name: str = "train") -> None:
        self.hydra_main = hydra_main
        self.config_name = config_name

    def __call__(self) -> None:
        """Runs the command with the program's arguments; after a sweep, with the table of its jobs."""
        gc.set_threshold(_COMPOSING)
        if {"--help", "-h"} & set(sys.argv[1:]) and (text := help_text(sys.argv[1:], config_name=self.config_name)):
            sys.stdout.write(text)
            return
        code = 1
        try:
            try:
                sys.argv[1:] = join_run(resumed(sys.argv[1:]))
                code = self._exit_code()
            finally:
                if sweep := begun():
                    from addnet.sweeps.finish import finish  # the table: not for single runs

                    code = finish(sweep, code)
        except UserError as error:
            sys.stderr.write(f"{error}\n")
            code = 1
        if code:
            sys.exit(code)

    def _exit_code(self) -> int:
        try:
            self.hydra_main()
        except SystemExit as stop:
            if stop.code not in (None, 0) and not _started:
                from addnet.sweeps.finish import has_jobs

                if not has_jobs(begun()):
                    sys.stderr.write(suggestions(sys.argv[1:], config_name=self.config_name))
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except KeyboardInterrupt:  # outside of a job, such as while a launcher waits for its workers
            return 128 + signal.SIGINT
        return 0


_started: list[bool] = []
_WORKING = gc.get_threshold()
_COMPOSING = 100_000  # new objects between two searches for garbage: a config is made of many and leaves little


def help_text(arguments: Sequence[str], *, config_name: str = "train") -> str:
    """What `--help` prints: the groups with their files, and the config that the overrides compose.

    Hydra's own says the same and takes four times as long, because it loads every file of every group to list them.

    Args:
        arguments: Of the command.
        config_name: The file in `configs/` that it reads.

    Returns:
        Empty where the overrides compose nothing: Hydra then says why.
    """
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    try:
        cfg = compose(overrides, config_name=config_name)
    except HydraException:
        return ""
    groups = sorted(folder for folder in Path(config_dir()).iterdir() if folder.is_dir() and folder.name != "hydra")
    files = {group.name: ", ".join(sorted(file.stem for file in group.glob("*.yaml"))) for group in groups}
    lines = [f"{name}: {names}" for name, names in files.items() if names and (config_name == "train" or name in cfg)]
    return (
        f"python -m addnet.{config_name} [group=file] [key=value] ...\n\n"
        "== Groups: group=file takes another file ==\n\n" + "\n".join(lines) + "\n\n"
        "== Config: key.key=value takes another value ==\n\n" + OmegaConf.to_yaml(cfg) + "\n"
        "--cfg job shows the config alone, -m sweeps over values with commas, --hydra-help shows what else Hydra has.\n"
    )


def friendly(task: Task) -> Task:
    """Wraps a task function: a `UserError` is printed and logged without a traceback, and exits with 1.

    Within a sweep whose launcher runs jobs itself, it is raised for Hydra instead, which goes on with the next job.
    """

    def wrapped(cfg: DictConfig) -> Any:
        _started.append(True)
        gc.set_threshold(*_WORKING)
        try:
            return task(cfg)
        except RunStoppedError as stop:
            log.error("%s", stop)
            # Lightning kills the main process, which has loggers to close, if a process beside it fails
            sys.exit(0 if process_name() else stop.code)
        except UserError as error:
            log.error("%s", error)
            log.debug("where it came from", exc_info=True)
            last_words(str(error))
            if _in_sweep():
                raise SweepError(str(error)) from error
            sys.exit(1)
        except KeyboardInterrupt:
            log.error("interrupted")
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            last_words(f"{type(error).__name__}: {error}")
            raise

    wrapped.__name__ = task.__name__
    wrapped.__module__ = task.__module__
    return wrapped


def refuse_sweep_over_ranks(cfg: DictConfig, hydra_config: Any) -> None:
    """Raises where Lightning would repeat the command of a whole sweep for each rank.

    With the isolated launcher a job is no sweep; under SLURM the ranks are started by srun.

    Raises:
        UserError: A launcher that runs jobs itself, and several devices.
    """
    repeated = hydra_config.mode == RunMode.MULTIRUN and "SLURM_NTASKS" not in os.environ
    if repeated and cfg.trainer.devices not in (1, "1", "auto"):
        launcher = hydra_config.runtime.choices.get("hydra/launcher")
        raise UserError(
            f"a sweep with hydra/launcher={launcher} and trainer.devices={cfg.trainer.devices} "
            "would start itself again on every rank; take hydra/launcher=isolated (the default) or trainer.devices=1"
        )


def _in_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def suggestions(arguments: list[str], *, config_name: str = "train") -> str:
    """What mistyped overrides may have meant.

    Args:
        arguments: Of the command, such as `["optimizer.lrr=1"]`.
        config_name: The file in `configs/` that the command reads.

    Returns:
        A line for each override whose key does not exist in any file of `configs/`; empty if there is none.
    """
    import difflib

    keys = {argument.lstrip("+~").split("=")[0].split("@")[0] for argument in arguments if "=" in argument}
    known = known_keys(arguments, config_name=config_name)
    lines = []
    for key in sorted(keys - set(known)):
        if key.startswith(("hydra.", "-")):
            continue
        close = difflib.get_close_matches(key, known, n=2, cutoff=0.75)
        close += [k for k in known if k.split(".")[-1] == key.split(".")[-1] and k not in close][:3]
        if close:
            named = ", ".join(f"{name}{_where(known[name])}" for name in close)
            lines.append(f"'{key}' is no key here; did you mean {named}?")
    elsewhere = sorted(key for key in keys & set(known) if known[key] and known[key] not in arguments)
    lines += [f"'{key}' exists only{_where(known[key])}" for key in elsewhere]
    return "".join(f"{line}\n" for line in lines)


def known_keys(chosen: Sequence[str] = (), *, config_name: str = "train") -> dict[str, str | None]:
    """Every dotted key of the default config (None), and those that only another file of a group has (it).

    Args:
        chosen: Files of groups, such as `data=celebdf`; where several have a key, the first of these is given.
        config_name: The file in `configs/` that has the defaults.
    """
    base = compose(config_name=config_name)
    keys: dict[str, str | None] = dict.fromkeys(_dotted(OmegaConf.to_container(base, resolve=False)))
    files = sorted(Path(config_dir()).glob("*/*.yaml"))
    for file in sorted(files, key=lambda file: f"{file.parent.name}={file.stem}" not in chosen):
        group = file.parent.name
        if config_name != "train" and group not in base:
            continue
        keys.setdefault(group, None)
        text = file.read_text(encoding="utf-8")
        if "@package" in text or group == "hydra":
            continue
        for key in _dotted(OmegaConf.to_container(OmegaConf.load(file), resolve=False)):
            if not key.startswith("defaults"):
                keys.setdefault(f"{group}.{key}", f"{group}={file.stem}")
    return keys


def _dotted(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    found = []
    for key, value in node.items():
        found.append(f"{prefix}{key}")
        found += _dotted(value, f"{prefix}{key}.")
    return found


def _where(file: str | None) -> str:
    return f" (with {file})" if file else ""
