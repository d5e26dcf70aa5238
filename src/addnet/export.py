"""`addnet export`: exports a checkpoint as ONNX, as a .pt2 file of torch.export, or as a safetensors folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from addnet.cli import hydra_command
from addnet.errors import require_choice

if TYPE_CHECKING:
    from addnet.inference.export import Export

log = logging.getLogger(__name__)


def export(cfg: DictConfig) -> Export:
    """Exports the checkpoint or the detector of a composed config.

    Args:
        cfg: `configs/export.yaml`, composed.

    Returns:
        The files that were written, and the result of the parity check.

    Raises:
        UserError: A setting or the checkpoint is not valid, or the outputs of the export differ from PyTorch's.
    """
    from addnet.inference.background import shipped_line
    from addnet.inference.export import FORMATS, export_checkpoint
    from addnet.inference.export.hub_folder import folder_of
    from addnet.inference.shipped import located, name_of

    ckpt = located(cfg.ckpt)
    suffix = FORMATS[require_choice("format", cfg.format, FORMATS)]
    output = Path(cfg.output or Path(cfg.paths.output_dir, ckpt.stem + suffix))
    done = export_checkpoint(
        ckpt,
        output,
        format=cfg.format,
        opset=cfg.opset,
        tensors=cfg.tensors,
        atol=cfg.atol,
        seed=cfg.seed,
        overwrite=cfg.overwrite,
        licence=cfg.license,
        weights=cfg.model.weights,
    )
    if name := name_of(folder_of(ckpt) or ckpt):
        log.info("%s", shipped_line(name, done.about))
    log.info("checked %s", done.parity)
    if done.parity.spread < 100 * done.parity.atol:
        log.warning("the logits hardly depend on the image, so the check is not conclusive; is the network trained?")
    log.info("%s, %.1f MB", done.output, done.size / 1e6)
    return done


@hydra_command("export")
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    export(cfg)


if __name__ == "__main__":
    main()
