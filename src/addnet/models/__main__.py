"""`addnet models`: builds a network, runs one forward and backward pass, and prints the cost of each stage.

Below the table it lists the sites and placements of the network, and which images its start weights expect. Arguments
are overrides as for training. Weights are random unless model.pretrained=true or model.weights=PATH is given. Exits
with 1 if a trainable parameter received no finite gradient, with 2 if an argument is invalid.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig

from addnet.cli import command
from addnet.config import plain

if TYPE_CHECKING:
    from addnet.models.network import ADDNet
    from addnet.models.stages import Description
    from addnet.models.summary import Summary


@command("models", words=lambda words: ["model.pretrained=false", *words])
def main(cfg: DictConfig) -> int:
    """Runs the command and returns its exit code."""
    options, size = plain(cfg.model), int(cfg.data.image_size)
    described, summary = _summary(options.pop("name"), options, size)
    title = f"{cfg.model.name} on {described.name}, one image of {size} × {size} pixels"
    return report(described, summary, title=title, options=options)


def _summary(name: str, options: dict[str, Any], size: int) -> tuple[Description, Summary]:
    from addnet.models.registry import create_model  # imports torch, which --help doesn't need
    from addnet.models.summary import summarise

    net = cast("ADDNet", create_model(name, **options))
    return net.description, summarise(net, image_size=size)


def report(described: Description, summary: Summary, *, title: str, options: dict[str, Any]) -> int:
    """Prints the table, sites and placements, and the result of the gradient check; returns the exit code."""
    from rich.console import Console

    from addnet.models.summary import table, told

    console = Console()
    console.print(table(summary, title=title))
    for line in told(described):
        console.print(line, markup=False, highlight=False)
    if options["weights"] is None and not options["pretrained"]:
        console.print("random weights; model.pretrained=true loads timm's", markup=False)
    if summary.without_gradient:
        console.print("no finite gradient:", ", ".join(summary.without_gradient), style="red", markup=False)
        return 1
    trained = f"all {summary.trainable:,} trainable parameters"
    if summary.trainable < summary.parameters:
        trained += f" (of {summary.parameters:,})"
    console.print(f"{trained} received a finite gradient")
    return 0


if __name__ == "__main__":
    sys.exit(main())
