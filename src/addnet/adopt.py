"""`addnet adopt gend FILE`: converts a detector published by others to a checkpoint of this program."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from addnet.cli import hydra_command
from addnet.console import shown_path
from addnet.errors import UserError, require_choice
from addnet.overrides import exists, quoted, to_type

if TYPE_CHECKING:
    from addnet.inference.adopting import Adoption

log = logging.getLogger(__name__)

_KEYS = ("detector", "input")  # the keys of words without a key, in this order


def adopt(cfg: DictConfig) -> Adoption:
    """Adopts the published detector that a composed config names.

    Args:
        cfg: `configs/adopt.yaml`, composed, with the run folder as `paths.output_dir`.

    Returns:
        A description of the checkpoint that was written.

    Raises:
        UserError: A setting or the file is not valid.
    """
    from addnet.inference import adopting
    from addnet.inference.export.output import require_free
    from addnet.models.publications import PUBLISHED

    published = PUBLISHED[require_choice("detector", cfg.detector, PUBLISHED)]
    output = Path(cfg.output or Path(cfg.paths.output_dir, f"{published.name}.ckpt"))
    if output.suffix != ".ckpt":
        raise UserError(f"output={output} is not a valid name of a checkpoint; use {output.with_suffix('.ckpt').name}")
    require_free(output, overwrite=cfg.overwrite)
    log.info("%s, from %s (%s)", published.called, published.source, published.cite)
    log.warning("license terms: %s", published.terms)
    done = adopting.adopt(published, cfg.input, output)
    if done.assumed:
        log.warning("%s", done.assumed)
    log.info("%s", adopting.in_words(done))
    log.warning(
        "its threshold is 0.5 and its probabilities are not calibrated, because it comes without validation results: "
        "evaluate it on your own material (addnet evaluate) and set threshold=NUMBER in the commands that use it"
    )
    log.info("written: %s", shown_path(output))
    log.info("to use it: addnet predict %s face.jpg", to_type("ckpt", shown_path(output)))
    return done


def arguments_of(words: Sequence[str]) -> list[str]:
    """Converts the command line to overrides: words without a key are the detector, then the file.

    Example:
        >>> arguments_of(["gend", "GenD (1)/model.safetensors", "output=gend.ckpt"])
        ['output=gend.ckpt', "detector='gend'", "input='GenD (1)/model.safetensors'"]
    """
    named = [word for word in words if not word.startswith("-") and ("=" not in word or exists(word))]
    others = [word for word in words if word not in named]
    keys = [key for key in _KEYS if not any(word.startswith(f"{key}=") for word in others)]
    if len(named) > len(keys):
        raise UserError(f"{named[len(keys)]!r} is an extra argument; give a detector and a file, then KEY=VALUE")
    return others + [f"{key}={quoted(word)}" for key, word in zip(keys, named, strict=False)]


@hydra_command("adopt", words=arguments_of)
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    adopt(cfg)


if __name__ == "__main__":
    main()
