"""`python -m addnet.app ckpt=…`: a page in the browser that says what a trained detector says, and why."""

from __future__ import annotations

import logging

import hydra
from omegaconf import DictConfig

from addnet.cli import Command, friendly
from addnet.config import config_dir, plain
from addnet.errors import UserError, require_choice

log = logging.getLogger(__name__)


def app(cfg: DictConfig) -> None:
    """Serves the page until the process is told to stop (Ctrl-C, SIGTERM), then removes whatever was uploaded.

    Args:
        cfg: `configs/app.yaml` composed.

    Raises:
        UserError: The checkpoint or a setting has to be put right, or Gradio isn't installed.
    """
    from addnet.inference.page.serving import Address, private_folder, require_gradio, serve, warn_unless_loopback

    if not cfg.ckpt:
        raise UserError("ckpt is not set: name a checkpoint, such as outputs/train/TIME/checkpoints/best.ckpt")
    address = Address(host=cfg.host, port=cfg.port, open_browser=cfg.open_browser)
    warn_unless_loopback(address.host)
    with private_folder() as folder:
        require_gradio()
        from addnet.inference import Detector
        from addnet.inference.explaining import BLOCKS
        from addnet.inference.page.asking import Limits, Visit
        from addnet.inference.page.examples import draw_examples
        from addnet.inference.page.layout import build

        limits = Limits(**plain(cfg.limits))
        block = require_choice("block", cfg.block, BLOCKS)
        detector = Detector.from_checkpoint(cfg.ckpt, **plain(cfg.detector))
        detector.preprocessing.load()
        examples = draw_examples(folder / "examples")
        page = build(Visit(detector, limits, block=block), examples, waiting=cfg.waiting)
        serve(page, address, max_bytes=limits.max_mb << 20)


@hydra.main(version_base="1.3", config_path=config_dir(), config_name="app")
@friendly
def _main(cfg: DictConfig) -> None:
    app(cfg)


def main() -> None:
    """Runs the command with the program's arguments."""
    Command(_main, config_name="app")()


if __name__ == "__main__":
    main()
