"""The run folder of a command: created before the run, and removed if the command failed before it did anything."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from addnet.console import say
from addnet.launch import RUN
from addnet.surroundings import in_words
from addnet.sweeps.results import RESULT

_made: list[Path] = []


class NoteRunFolder(Callback):
    """Hydra callback that creates the folder of a single run, and reports in a sentence if that fails."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Creates the folder before Hydra does, except for the jobs of a sweep."""
        folder = Path(str(config.hydra.run.dir)).absolute()
        of_a_sweep = not OmegaConf.is_missing(config.hydra.job, "num")
        if of_a_sweep or folder.exists():
            return
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            if not (reason := in_words(error)):
                return
            say(f"the run folder can't be created: {reason} (paths.output_root, paths.output_dir)")
            raise SystemExit(1) from None  # Hydra turns any other error of a callback into a warning
        if RUN not in os.environ:  # other processes of the run may be about to use it
            _made.append(folder)


def remove_unused() -> None:
    """Removes the folder that this command created, if it contains nothing but the command's config and log."""
    for folder in _made:
        logs = [Path(file) for handler in logging.root.handlers if (file := getattr(handler, "baseFilename", None))]
        ours = {".hydra", RESULT, *(log.name for log in logs if log.parent == folder)}
        if folder.is_dir() and {entry.name for entry in os.scandir(folder)} <= ours:
            shutil.rmtree(folder, ignore_errors=True)
    _made.clear()
