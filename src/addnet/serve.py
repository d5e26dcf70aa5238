"""`addnet serve`: an HTTP service that classifies images and videos with a detector."""

from __future__ import annotations

import logging
from contextlib import closing

from omegaconf import DictConfig

from addnet.cli import hydra_command
from addnet.config import plain
from addnet.errors import UserError
from addnet.inference.shipped import located
from addnet.inference.weighing import calibration_of, likelihood_ratios
from addnet.predict import about

log = logging.getLogger(__name__)


def serve(cfg: DictConfig) -> None:
    """Serves until the process is stopped (Ctrl-C, SIGTERM), then removes all uploads.

    Args:
        cfg: `configs/serve.yaml`, composed.

    Raises:
        UserError: The checkpoint or a setting is not valid, or FastAPI isn't installed.
    """
    from addnet.inference.answering.addresses import is_loopback, own_names
    from addnet.inference.answering.private import private_folder

    _check(cfg)
    try:
        from addnet.inference.service.api import Api
        from addnet.inference.service.serving import serve as run
    except ImportError as error:
        raise UserError(f"the service needs FastAPI ({error}): pip install 'addnet[serve]'") from error
    from addnet.inference import Detector
    from addnet.inference.answering.asking import UploadLimits, Visit
    from addnet.inference.answering.uploads import Uploads
    from addnet.inference.service.counters import Counters
    from addnet.inference.service.door import RequestGate
    from addnet.inference.service.jobs import Jobs
    from addnet.inference.service.works import WorkRegister

    local = is_loopback(cfg.host)
    if not local and not cfg.token:
        log.warning(
            "host=%s: everyone who can reach this machine over the network can send files to it; set token= to require "
            "a token, or host=127.0.0.1 to accept only this machine",
            cfg.host,
        )
    limits = UploadLimits(**plain(cfg.limits))
    with private_folder() as folder:
        detector = Detector.from_checkpoint(located(cfg.ckpt), weights=cfg.model.weights, **plain(cfg.detector))
        for line in detector.background if detector.loaded.shipped else ():
            log.info("%s", line)
        ratios = likelihood_ratios(detector, calibration_of(detector, cfg.likelihood))
        most, quota = limits.max_mb << 20, cfg.quota_mb << 20
        uploads = Uploads(folder / "uploads", most=most, quota=quota, has_left=lambda _: True)
        with closing(Visit(detector, limits, workers=cfg.workers, block=cfg.block, ratios=ratios)) as visit:
            visit.readers.wait_until_ready()
            counters = Counters()
            with closing(WorkRegister(visit, uploads, waiting=cfg.waiting)) as works:
                jobs = Jobs(works, seconds=cfg.keep_jobs)
                description = about(detector, ratios)
                api = Api(works, uploads, jobs, counters, about=description, files=cfg.files).build()
                names = ["localhost", "127.0.0.1", "::1", cfg.host, *cfg.names, *([] if local else own_names())]
                any_name = cfg.host in ("0.0.0.0", "::")
                door = RequestGate(api, names=[] if any_name else names, token=cfg.token or "", tell=counters.requested)
                run(door, host=cfg.host, port=cfg.port)


def _check(cfg: DictConfig) -> None:
    for name in ("workers", "files", "quota_mb"):
        if not isinstance(cfg[name], int) or cfg[name] < 1:
            raise UserError(f"{name}={cfg[name]} is not valid; use a whole number of at least 1")
    if cfg.token is not None and not str(cfg.token).strip():
        raise UserError("token is empty, which would admit everyone; set a value, or token=null for no token")
    if not isinstance(cfg.waiting, int) or cfg.waiting < 0:
        raise UserError(f"waiting={cfg.waiting} is not valid; use a whole number, 0 or more")
    if not isinstance(cfg.port, int) or not 0 <= cfg.port <= 65535:
        raise UserError(f"port={cfg.port} is not valid; use 1 to 65535, or 0 for any that is free")


@hydra_command("serve")
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    serve(cfg)


if __name__ == "__main__":
    main()
