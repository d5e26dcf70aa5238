"""Turns a function into a command: parses arguments, composes the config, handles `--help`, and reports errors."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal import utils
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from addnet.commands import COMMANDS, typed_as
from addnet.config import compose_with_choices, config_dir, expand_home, without_group
from addnet.console import say
from addnet.errors import RunStoppedError, UserError, require_choice
from addnet.launch import join_run, last_words, process_name, share_cores
from addnet.mistyped import answer, refuse_elsewhere, refuse_flags, refuse_options
from addnet.overrides import for_hydra, split_options
from addnet.required import given
from addnet.run_folders import remove_unused
from addnet.surroundings import in_words
from addnet.sweeps.record import SweepError, begun
from addnet.sweeps.resume import resumed

log = logging.getLogger(__name__)

Task = Callable[[DictConfig], Any]
Words = Callable[[Sequence[str]], list[str]]  # arguments as typed → overrides

WRONG_ARGUMENT = 2  # exit code


def command(name: str, *, words: Words = list, refused: int = WRONG_ARGUMENT) -> Callable[[Task], Callable[..., int]]:
    """Makes the `main` of a command from a function that takes its composed config and returns its exit code.

    Args:
        name: Name of the command in `addnet.commands`, such as `data check`.
        words: Converts arguments as typed to overrides, such as a folder without a key.
        refused: The exit code after a `UserError` of the function.

    Returns:
        A decorator; `main` takes the arguments (by default those of the program) and returns an exit code.
    """

    def made(task: Task) -> Callable[..., int]:
        def main(arguments: Sequence[str] | None = None) -> int:
            share_cores()
            overrides = list(sys.argv[1:] if arguments is None else arguments)
            try:
                options, typed = split_options(overrides)
                overrides = overrides_of(words(typed), command=name)
                if show_help(overrides, command=name):
                    return 0
                refuse_options([*options, *overrides], command=name)
                cfg, choices = compose_with_choices(overrides, config_name=COMMANDS[name].config)
                if {"--cfg", "-c"} & set(options):
                    sys.stdout.write(OmegaConf.to_yaml(cfg))
                    return 0
            except (HydraException, OmegaConfBaseException) as error:
                sys.stderr.write(answer(error, overrides, command=name))
                return WRONG_ARGUMENT
            except UserError as error:
                say(error)
                return WRONG_ARGUMENT
            try:
                expand_home(cfg)
                with given(cfg, name, choices):
                    return int(task(cfg))
            except UserError as error:
                say(error)
                return refused

        return main

    return made


def subcommands(name: str, mains: Mapping[str, Callable[[Sequence[str]], int]]) -> Callable[..., int]:
    """Makes the `main` of a command that has subcommands, such as `data` of `data check`.

    Args:
        name: Name of the command.
        mains: Name of each subcommand → its `main`.
    """

    def main(arguments: Sequence[str] | None = None) -> int:
        first, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
        if first in ("-h", "--help"):
            below = [f"{name} {one}" for one in mains]
            sys.stdout.write("".join(f"{typed_as(one)}: {COMMANDS[one].purpose}\n" for one in below))
            return 0
        try:
            require_choice(f"{name} command", first, mains)
        except UserError as error:
            say(error)
            return WRONG_ARGUMENT
        return mains[first](rest)

    return main


def hydra_command(name: str, *, words: Words = list) -> Callable[[Task], Command]:
    """Makes the `main` of a command that Hydra runs, with a log file in its own run folder.

    Args:
        name: Name of the command in `addnet.commands`, and of the file in `configs/` that it reads.
        words: Converts arguments as typed to overrides.

    Returns:
        A decorator for a function that takes the composed config, in which `paths.output_dir` is the run folder.
    """

    def made(task: Task) -> Command:
        def run(cfg: DictConfig) -> Any:
            # every rank must use the same folder, whatever time it starts
            OmegaConf.update(cfg, "paths.output_dir", str(Path(HydraConfig.get().runtime.output_dir).resolve()))
            with given(cfg, name, HydraConfig.get().runtime.choices):
                return task(cfg)

        run.__name__, run.__module__ = task.__name__, task.__module__
        hydra_main = hydra.main(version_base="1.3", config_path=config_dir(), config_name=name)(friendly(run))
        return Command(hydra_main, name=name, words=words)

    return made


class Command:
    """Runs a Hydra command, and reports a user's mistake in a sentence, with a non-zero exit code.

    Args:
        hydra_main: The function returned by `hydra.main`.
        name: Name of the command in `addnet.commands`.
        words: Converts arguments as typed to overrides.
    """

    def __init__(self, hydra_main: Callable[[], Any], *, name: str, words: Words = list) -> None:
        self.hydra_main = hydra_main
        self.name = name
        self.words = words

    def __call__(self) -> None:
        """Runs the command with the program's arguments; after a sweep, prints the table of its jobs."""
        share_cores()
        code = 1
        try:
            options, typed = split_options(sys.argv[1:])
            refuse_flags([*options, *typed], command=self.name)
            sys.argv[1:] = [*options, *overrides_of(self.words(typed), command=self.name)]
            if show_help(sys.argv[1:], command=self.name):
                return
            try:
                sys.argv[1:] = join_run(resumed(sys.argv[1:]))
                refuse_options(sys.argv[1:], command=self.name)
                code = self._exit_code()
            finally:
                if sweep := begun():
                    from addnet.sweeps.finish import finish  # single runs don't need the table

                    code = finish(sweep, code)
        except UserError as error:
            say(error)
            code = 1
        if code:
            sys.exit(code)

    def _exit_code(self) -> int:
        try:
            with self._answering():
                self.hydra_main()
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except KeyboardInterrupt:  # outside a job, for example while a launcher waits for its workers
            return 128 + signal.SIGINT
        return 0

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Reports errors that Hydra raises before the task starts; in Hydra 1.3, only possible by patching it."""
        report = utils.run_and_report

        def run_and_report(func: Any) -> Any:
            def answered() -> Any:
                try:
                    return func()
                except (HydraException, OmegaConfBaseException) as error:
                    if _started or isinstance(error, UserError):
                        raise
                    sys.stderr.write(answer(error, sys.argv[1:], command=self.name))
                    sys.exit(1)

            return report(answered)

        utils.run_and_report = run_and_report
        try:
            yield
        finally:
            utils.run_and_report = report


def overrides_of(arguments: Sequence[str], *, command: str) -> list[str]:
    """Converts arguments to the form that Hydra needs: paths in quotes, `~` expanded.

    Raises:
        UserError: Settings are given as `--key value`, or a key has another name here; the message says what to type.
    """
    refuse_flags(arguments, command=command)
    put = [without_group(argument) for argument in arguments]
    refuse_elsewhere(put, command=command)
    return [for_hydra(argument) for argument in put]


def show_help(arguments: Sequence[str], *, command: str) -> bool:
    """Prints the help of a command if `--help` is among the arguments; returns whether it is.

    Raises:
        UserError: The other arguments don't compose a config.
    """
    if not {"--help", "-h"} & set(arguments):
        return False
    from addnet.config_help import help_text

    try:
        text = help_text(command, [argument for argument in arguments if not argument.startswith("-")])
    except HydraException as error:
        raise UserError(answer(error, arguments, command=command).strip()) from error
    sys.stdout.write(text)
    return True


_started: list[bool] = []


def friendly(task: Task) -> Task:
    """Wraps a task function so that a `UserError` is logged without a traceback, and the program exits with 1.

    In a sweep whose launcher runs jobs itself, the error is raised again for Hydra, which continues with the next job.
    """

    def wrapped(cfg: DictConfig) -> Any:
        _started.append(True)
        expand_home(cfg)
        try:
            return task(cfg)
        except RunStoppedError as stop:
            log.error("%s", stop)
            # Lightning kills the main process, which still has loggers to close, if another rank fails
            sys.exit(0 if process_name() else stop.code)
        except UserError as error:
            _refused(error)
        except KeyboardInterrupt:
            log.error("interrupted")
            sys.exit(128 + signal.SIGINT)
        except Exception as error:
            if told := in_words(error):
                _refused(error, told)
            last_words(f"{type(error).__name__}: {error}")
            raise

    wrapped.__name__ = task.__name__
    wrapped.__module__ = task.__module__
    return wrapped


def _refused(error: Exception, told: str = "") -> NoReturn:
    """Logs the error in a sentence and exits."""
    log.error("%s", told or error)
    log.debug("where it came from", exc_info=error)
    last_words(told or str(error))
    if _in_sweep():
        raise SweepError(told or str(error)) from error
    remove_unused()
    sys.exit(1)


def refuse_sweep_over_ranks(cfg: DictConfig, hydra_config: Any) -> None:
    """Raises an error if Lightning would repeat the command of a whole sweep for each rank.

    With the isolated launcher, each job has a command of its own; under SLURM, srun starts the ranks.

    Raises:
        UserError: The launcher runs jobs itself, and a job has several devices.
    """
    repeated = hydra_config.mode == RunMode.MULTIRUN and "SLURM_NTASKS" not in os.environ
    if repeated and cfg.trainer.devices not in (1, "1", "auto"):
        launcher = hydra_config.runtime.choices.get("hydra/launcher")
        raise UserError(
            f"a sweep with hydra/launcher={launcher} and trainer.devices={cfg.trainer.devices} "
            "would start itself again on every rank; use hydra/launcher=isolated (the default) or trainer.devices=1"
        )


def _in_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
