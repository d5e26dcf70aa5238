"""Comet, online where a key is configured and the server answers, else into an archive."""

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
    """Lightning's Comet logger with an offline mode that writes.

    `CometLogger(online=False)` of Lightning 2.6.6 disables the experiment altogether (pytorch-lightning#21617);
    here the experiment is started offline instead, which leaves an archive for `comet upload`.

    Args:
        project: Comet project.
        workspace: Comet workspace; None is the key's default one.
        name: Of the experiment.
        offline: True writes an archive, False insists on the server, None goes online if a key is configured
            (in the environment or in Comet's own file), and into the archive, with a line in the log, if the server
            can't be reached or refuses the key.
        offline_directory: Where the archive is written.
        tags: Of the experiment.
        log_code: Uploads the sources.
        log_git_patch: Uploads uncommitted changes.
        log_env_host: Tells the host's name, user and address.
        log_checkpoint: Uploads the best checkpoint at the end of the run.
        resume: What `state` gave to a checkpoint: goes on with that experiment. Offline that is a second archive
            with the same key, which `comet upload` adds to the experiment.

    Raises:
        UserError: The server is insisted on and can't be reached, or refuses the key.
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
        # before the first import of comet_ml, which reads them then: no reports to a third party, and on the
        # console only errors, since what matters is said in `close`
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
        reason = "" if self.offline else _unreachable() or self._not_begun()
        if not reason and not self.offline:
            return
        if reason and insists:
            raise UserError(
                f"logger.comet.offline=false needs the server: {reason}; true writes an archive to send later"
            )
        if reason:
            log.warning("%s: the experiment goes into an archive in %s", reason, self._comet_config.offline_directory)
        self.offline, self._online, self._experiment, self._experiment_key = True, False, None, key
        super()._create_experiment()

    def _not_begun(self) -> str:
        """Begins the experiment at the server; says why it could not be begun, if so."""
        from comet_ml.exceptions import InvalidAPIKey

        try:
            super()._create_experiment()
        except InvalidAPIKey:
            return "Comet refuses the key that is configured (COMET_API_KEY, or Comet's own file)"
        experiment: Any = self._experiment
        if experiment.alive:
            return ""
        experiment.end()
        return "Comet did not take the experiment"

    def state(self) -> dict[str, Any]:
        """The key of the experiment."""
        return {"key": self.version}

    def keep(self, what: str, method: str, *arguments: Any, **how: Any) -> None:
        """Notes what is to be logged at the end of the run: of what is drawn anew each epoch, the last alone.

        Args:
            what: The same for what replaces it.
            method: Of the experiment.
            *arguments: Of the method.
            **how: Of the method.
        """
        self._kept[what] = method, arguments, how

    @rank_zero_only
    def close(self, checkpoint: str = "") -> None:
        """Ends the experiment: only then is an offline archive complete.

        Args:
            checkpoint: The best one, if there is one; uploaded where `log_checkpoint` asks for it.
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
                log.warning("what could not be sent is in an archive: send it with `comet upload %s`", unsent)


def _unreachable() -> str:
    """Why Comet's server doesn't answer; empty if it does. Comet itself finds out after half a minute, in 90 lines."""
    from comet_ml.config import get_api_key, get_backend_address, get_config

    config = get_config()
    get_api_key(None, config)  # a key may name its own server, which is then in the config
    checked = config.get_bool(None, "comet.internal.check_tls_certificate")
    return unreachable("Comet", get_backend_address(config), verify=checked)
