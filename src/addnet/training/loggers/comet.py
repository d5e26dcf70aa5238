"""Comet, online where a key is configured and into an archive where none is."""

from __future__ import annotations

import logging
import os
from typing import Any

from pytorch_lightning import loggers
from pytorch_lightning.utilities import rank_zero_only

log = logging.getLogger(__name__)


class CometLogger(loggers.CometLogger):
    """Lightning's Comet logger with an offline mode that writes.

    `CometLogger(online=False)` of Lightning 2.6.6 disables the experiment altogether (pytorch-lightning#21617);
    here the experiment is started offline instead, which leaves an archive for `comet upload`.

    Args:
        project: Comet project.
        workspace: Comet workspace; None is the key's default one.
        name: Of the experiment.
        offline: True writes an archive, False insists on the server, None goes online if a key is configured
            (in the environment or in Comet's own file).
        offline_directory: Where the archive is written.
        tags: Of the experiment.
        log_code: Uploads the sources.
        log_git_patch: Uploads uncommitted changes.
        log_env_host: Tells the host's name, user and address.
        resume: What `state` gave to a checkpoint: goes on with that experiment. Offline that is a second archive
            with the same key, which `comet upload` adds to the experiment.
    """

    def __init__(
        self,
        project: str,
        *,
        workspace: str | None = None,
        name: str | None = None,
        offline: bool | None = None,
        offline_directory: str | None = None,
        tags: list[str] | None = None,
        log_code: bool = False,
        log_git_patch: bool = False,
        log_env_host: bool = False,
        resume: dict[str, Any] | None = None,
    ) -> None:
        self.offline = offline
        # before the first import of comet_ml, which reads them then: no reports to a third party, and on the
        # console only errors, since what matters is said in `close`
        os.environ.setdefault("COMET_ERROR_TRACKING_ENABLE", "false")
        os.environ.setdefault("COMET_LOGGING_CONSOLE", "ERROR")
        super().__init__(
            project=project,
            workspace=workspace,
            experiment_key=resume["key"] if resume else None,
            mode="get_or_create" if resume else "create",  # the default would join whichever experiment is running
            name=name,
            offline_directory=offline_directory,
            tags=list(tags or []),
            log_code=log_code,
            log_git_patch=log_git_patch,
            log_env_host=log_env_host,
            parse_args=False,
            display_summary_level=0,
            auto_output_logging="simple",
        )

    def _create_experiment(self) -> None:
        from comet_ml.config import get_config

        if self.offline is None:
            self.offline = not get_config()["comet.api_key"]
        self._online = not self.offline
        super()._create_experiment()

    def state(self) -> dict[str, Any]:
        """The key of the experiment."""
        return {"key": self.version}

    @rank_zero_only
    def close(self) -> None:
        """Ends the experiment: only then is an offline archive complete."""
        if self._experiment is None:
            return
        experiment: Any = self._experiment
        experiment.end()
        if self.offline:
            archive = f"{self._comet_config.offline_directory}/{experiment.get_key()}.zip"
            log.info("Comet archive: send it with `comet upload %s`", archive)
        else:
            log.info("Comet experiment: %s", experiment.url)
