"""The folder of a command: made, or told why not; taken away again where the command failed before it did anything."""

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
    """Hydra callback: notes whether a single command makes its folder, and says in a sentence where it can't."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Makes the folder, before Hydra does; those of a sweep's jobs are left to the sweep."""
        folder = Path(str(config.hydra.run.dir)).absolute()
        of_a_sweep = not OmegaConf.is_missing(config.hydra.job, "num")
        if of_a_sweep or folder.exists():
            return
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            if not (told := in_words(error)):
                return
            say(f"the run folder can't be made: {told} (paths.output_root, paths.output_dir)")
            raise SystemExit(1) from None  # Hydra makes a warning of any other error of a callback
        if RUN not in os.environ:  # other processes of the run may be about to use it
            _made.append(folder)


def remove_unused() -> None:
    """Removes the folder that this command made, if there is nothing in it but how it was called and what it said."""
    for folder in _made:
        logs = [Path(file) for handler in logging.root.handlers if (file := getattr(handler, "baseFilename", None))]
        ours = {".hydra", RESULT, *(log.name for log in logs if log.parent == folder)}
        if folder.is_dir() and {entry.name for entry in os.scandir(folder)} <= ours:
            shutil.rmtree(folder, ignore_errors=True)
    _made.clear()
