"""Comet: online if a key is configured and the server answers, otherwise into an archive."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from pytorch_lightning import loggers
from pytorch_lightning.utilities import rank_zero_only

from addnet.console import shown_path
from addnet.errors import UserError
from addnet.training.loggers.server import unreachable

log = logging.getLogger(__name__)


class CometLogger(loggers.CometLogger):
    """Lightning's Comet logger with a working offline mode.

    `CometLogger(online=False)` of Lightning 2.6.6 disables the experiment altogether (pytorch-lightning#21617);
    here the experiment is started offline instead, which leaves an archive for `comet upload`.

    Args:
        project: Comet project.
        workspace: Comet workspace; None is the default workspace of the key.
        name: Name of the experiment.
        offline: True writes an archive; False requires the server; None goes online if a key is configured (in the
            environment or in Comet's own file), and falls back to an archive, with a warning, if the server can't be
            reached or rejects the key.
        offline_directory: Folder of the archive.
        tags: Tags of the experiment.
        log_code: Whether to upload the source code.
        log_git_patch: Whether to upload uncommitted changes.
        log_env_host: Whether to upload the host's name, user and address.
        log_checkpoint: Whether to upload the best checkpoint at the end of the run.
        resume: What `state` gave to a checkpoint: the experiment is continued. Offline this makes a second archive with
            the same key, which `comet upload` adds to the experiment.

    Raises:
        UserError: The server is required and can't be reached, or rejects the key.
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
        log_checkpoint: bool = False,
        resume: dict[str, Any] | None = None,
    ) -> None:
        self.offline = offline
        self.log_checkpoint = log_checkpoint
        self._kept: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {}
        # comet_ml reads these when it is first imported: no error reports to a third party, and only errors on the
        # console, since `close` logs what matters
        os.environ.setdefault("COMET_ERROR_TRACKING_ENABLE", "false")
        os.environ.setdefault("COMET_LOGGING_CONSOLE", "ERROR")
        super().__init__(
            project=project,
            workspace=workspace,
            experiment_key=resume.get("key") if resume else None,
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

        insists = self.offline is False
        if self.offline is None:
            self.offline = not get_config()["comet.api_key"]
        self._online = not self.offline
        key = self._experiment_key
        reason = "" if self.offline else _unreachable() or self._start_online()
        if not reason and not self.offline:
            return
        if reason and insists:
            raise UserError(
                f"logger.comet.offline=false needs the server: {reason}; use logger.comet.offline=true to write an "
                "archive that can be uploaded later"
            )
        if reason:
            folder = self._comet_config.offline_directory
            log.warning("%s: the experiment is written to an archive in %s", reason, folder)
        self.offline, self._online, self._experiment, self._experiment_key = True, False, None, key
        super()._create_experiment()

    def _start_online(self) -> str:
        """Starts the experiment at the server; returns the reason if that fails, otherwise an empty text."""
        from comet_ml.exceptions import InvalidAPIKey

        try:
            super()._create_experiment()
        except InvalidAPIKey:
            return "Comet rejects the configured key (COMET_API_KEY, or Comet's own file)"
        experiment: Any = self._experiment
        if experiment.alive:
            return ""
        experiment.end()
        return "Comet did not accept the experiment"

    def state(self) -> dict[str, Any]:
        """The key of the experiment."""
        return {"key": self.version}

    def keep(self, what: str, method: str, *arguments: Any, **how: Any) -> None:
        """Keeps a call for the end of the run: of a plot that is redrawn every epoch, only the last is logged.

        Args:
            what: Identifies the call; a later call with the same value replaces it.
            method: Name of the experiment's method.
            *arguments: Positional arguments of the method.
            **how: Keyword arguments of the method.
        """
        self._kept[what] = method, arguments, how

    @rank_zero_only
    def close(self, checkpoint: str = "") -> None:
        """Ends the experiment: only then is an offline archive complete.

        Args:
            checkpoint: Path of the best checkpoint, or empty; uploaded if `log_checkpoint` is set.
        """
        if self._experiment is None:
            return
        experiment: Any = self._experiment
        for method, arguments, how in self._kept.values():
            getattr(experiment, method)(*arguments, **how)
        if checkpoint and self.log_checkpoint:
            experiment.log_model("best", checkpoint)
        experiment.end()
        if self.offline:
            archive = shown_path(f"{self._comet_config.offline_directory}/{experiment.get_key()}.zip")
            log.info("Comet archive: send it with `comet upload %s`", archive)
        else:
            log.info("Comet experiment: %s", experiment.url)
            for unsent in sorted(Path(str(self._comet_config.offline_directory)).glob("*.zip")):
                log.warning("data that could not be sent is in an archive: send it with `comet upload %s`", unsent)


def _unreachable() -> str:
    """Why Comet's server doesn't answer; empty if it does. Comet itself finds out after half a minute, in 90 lines."""
    from comet_ml.config import get_api_key, get_backend_address, get_config

    config = get_config()
    get_api_key(None, config)  # a key may name its own server, which is then in the config
    checked = config.get_bool(None, "comet.internal.check_tls_certificate")
    return unreachable("Comet", get_backend_address(config), verify=checked)
