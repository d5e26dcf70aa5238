"""Builds a network, runs one forward and backward pass, and prints what each stage costs.

Usage: python -m addnet.models [model=bandpass] [model.placement=paper] [data.image_size=299] [...]

Arguments are overrides as for training. Weights are random unless model.pretrained=true or model.weights=PATH
is given. Exits with 1 if a trainable parameter got no finite gradient, with 2 if an argument is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from addnet.cli import suggestions
from addnet.config import compose, plain
from addnet.errors import UserError
from addnet.models.addnet import ADDNet2D_Xception
from addnet.models.registry import create_model
from addnet.models.summary import Summary, summarise, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    overrides = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(overrides):
        sys.stdout.write(__doc__ or "")
        return 0
    try:
        cfg = compose(["model.pretrained=false", *overrides])
        options = plain(cfg.model)
        size = int(cfg.data.image_size)
        net = create_model(options.pop("name"), **options)
        summary = summarise(cast("ADDNet2D_Xception", net), image_size=size)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        hints = suggestions(overrides) if isinstance(error, HydraException) else ""
        sys.stderr.write(f"{error}\n{hints}")
        return 2
    return report(summary, title=f"{cfg.model.name}, one {size} × {size} picture", options=options)


def report(summary: Summary, *, title: str, options: dict[str, Any]) -> int:
    """Prints the table and the verdict on the gradients; returns the exit code."""
    console = Console()
    console.print(table(summary, title=title))
    if options["weights"] is None and not options["pretrained"]:
        console.print("random weights; model.pretrained=true takes those of ImageNet", markup=False)
    if summary.without_gradient:
        console.print("no finite gradient:", ", ".join(summary.without_gradient), style="red", markup=False)
        return 1
    console.print(f"all {summary.trainable:,} trainable parameters got a finite gradient")
    return 0


if __name__ == "__main__":
    sys.exit(main())
