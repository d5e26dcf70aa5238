"""Weights & Biases, online where a key is configured and the server answers, else in the run folder."""

from __future__ import annotations

import logging
from typing import Any

from pytorch_lightning import loggers
from pytorch_lightning.loggers.logger import rank_zero_experiment

from addnet.console import shown_path
from addnet.errors import UserError
from addnet.training.loggers.server import unreachable

log = logging.getLogger(__name__)


class WandbLogger(loggers.WandbLogger):
    """Lightning's logger for Weights & Biases, which writes into the run folder where the server can't be had.

    Args:
        project: Of the run.
        save_dir: Where it is written, before it is sent or instead of that.
        offline: True writes files for `wandb sync`, False insists on the server, None goes online if the server
            answers and takes the run (a key is configured by `wandb login` or WANDB_API_KEY), and otherwise writes
            files, with a line in the log.
        log_checkpoint: Uploads the best checkpoint at the end of the run.
        settings: What else Lightning's own and `wandb.init` take, such as `name`, `tags`, `entity`, or the `id` of a
            run that is continued.
    """

    # what else wandb.init takes stays open to configs
    def __init__(
        self,
        project: str,
        *,
        save_dir: str,
        offline: bool | None = None,
        log_checkpoint: bool = False,
        **settings: Any,
    ) -> None:
        self.log_checkpoint = log_checkpoint
        self.offline = offline
        super().__init__(project=project, save_dir=save_dir, **settings)
        if self._wandb_init.get("anonymous") is None:
            self._wandb_init.pop("anonymous", None)  # Lightning 2.6.6 sends it unasked; wandb 0.31 warns of it

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run; started when it is first asked for.

        Raises:
            UserError: The server is insisted on and can't be reached, or doesn't take the run.
        """
        if self._experiment is not None:
            return self._experiment
        if not self.offline and (reason := self._not_begun()):
            if self.offline is False:
                raise UserError(
                    f"logger.wandb.offline=false needs the server: {reason}; true keeps the run here, to send later"
                )
            where = shown_path(f"{self.save_dir}/wandb")
            log.warning("%s: the run is kept in %s, to send with `wandb sync`", reason, where)
            self.offline = True
        if self.offline:
            self._wandb_init["mode"] = "offline"  # Lightning's own way sets it for all later runs of this process
        return super().experiment

    def _not_begun(self) -> str:
        """Begins the run at the server; says why it could not be begun, if so."""
        import wandb

        settings = wandb.setup().settings
        if settings.mode not in (None, "online", "run", "shared"):  # by WANDB_MODE
            return ""
        if reason := unreachable("Weights & Biases", settings.base_url):
            return reason
        try:
            _ = super().experiment
        except wandb.errors.Error as error:
            return f"Weights & Biases did not take the run ({str(error).splitlines()[0]})"
        return ""
