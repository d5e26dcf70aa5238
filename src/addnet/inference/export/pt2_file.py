"""A network → a .pt2 file of `torch.export` that contains its description; PyTorch runs it without this program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from addnet.inference.export.parity import Run

ABOUT = "addnet.json"  # the description's name among the extra files


def write_pt2(network: nn.Module, path: Path, *, inputs: tuple[Tensor, Tensor], about: Mapping[str, Any]) -> None:
    """Writes a network as an exported program, for any batch size.

    Args:
        network: From `fixed`.
        path: The `.pt2` file to write.
        inputs: Example inputs, a batch of at least two images and masks.
        about: The description, stored as the extra file `addnet.json`.
    """
    batch = torch.export.Dim("batch")
    shapes = {"image": {0: batch}, "mask": {0: batch}}
    with torch.no_grad():
        program = torch.export.export(network, inputs, dynamic_shapes=shapes, strict=False)
    for node in program.graph.nodes:  # stack traces name the author's source files
        node.meta.pop("stack_trace", None)
    torch.export.save(program, path, extra_files={ABOUT: json.dumps(about, indent=2)})


def runner(path: str | Path) -> Run:
    """Returns a function that runs a .pt2 file: image, mask → logits."""
    module = torch.export.load(str(path)).module()

    def run(image: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = module(image, mask)
        return logits

    return run


def read_about(path: str | Path) -> dict[str, Any]:
    """Reads the description in a .pt2 file."""
    extra = {ABOUT: ""}
    torch.export.load(str(path), extra_files=extra)
    about: dict[str, Any] = json.loads(extra[ABOUT])
    return about
