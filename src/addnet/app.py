"""`addnet app`: a page in the browser that shows the verdict of a detector and its explanation."""

from __future__ import annotations

import logging
from contextlib import closing

from omegaconf import DictConfig

from addnet.cli import hydra_command
from addnet.config import plain
from addnet.inference.shipped import located
from addnet.inference.weighing import calibration_of, likelihood_ratios

log = logging.getLogger(__name__)


def app(cfg: DictConfig) -> None:
    """Serves the page until the process is stopped (Ctrl-C, SIGTERM), then removes all uploads.

    Args:
        cfg: `configs/app.yaml`, composed.

    Raises:
        UserError: The checkpoint or a setting is not valid, or Gradio isn't installed.
    """
    from addnet.inference.answering.private import private_folder
    from addnet.inference.page.serving import PageAddress, require_gradio, serve, warn_unless_loopback

    ckpt = located(cfg.ckpt)
    address = PageAddress(host=cfg.host, port=cfg.port, open_browser=cfg.open_browser)
    warn_unless_loopback(address.host)
    with private_folder() as folder:
        require_gradio()
        from addnet.inference import Detector
        from addnet.inference.answering.asking import UploadLimits, Visit
        from addnet.inference.answering.uploads import Uploads
        from addnet.inference.page.desk import PageHandler
        from addnet.inference.page.examples import draw_examples
        from addnet.inference.page.layout import build
        from addnet.inference.page.visitors import Visitors

        limits, visitors = UploadLimits(**plain(cfg.limits)), Visitors()
        detector = Detector.from_checkpoint(ckpt, weights=cfg.model.weights, **plain(cfg.detector))
        ratios = likelihood_ratios(detector, calibration_of(detector, cfg.likelihood))
        if detector.loaded.shipped:
            log.info("%s", *detector.background)
        most = (
            2 * limits.max_mb << 20
        )  # twice the limit: up to it the page reports files that are too large; Gradio's own errors aren't shown
        quota = cfg.quota_mb << 20
        uploads = Uploads(folder / "uploads", most=most, quota=quota, has_left=visitors.has_left)
        new_visit = Visit(detector, limits, workers=cfg.workers, block=cfg.block, ratios=ratios)
        with closing(new_visit) as visit:
            visit.readers.wait_until_ready()
            with closing(PageHandler(visit, uploads, visitors)) as desk:
                page = build(desk, draw_examples(folder / "examples"), waiting=cfg.waiting)
                serve(page, address, names=cfg.names, uploads=uploads, visitors=visitors, max_bytes=most)


@hydra_command("app")
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    app(cfg)


if __name__ == "__main__":
    main()
