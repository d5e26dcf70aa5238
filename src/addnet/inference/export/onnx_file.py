"""A network → an ONNX file that contains its description; runs such a file with onnxruntime."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from addnet.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from addnet.inference.export.parity import Run

OLDEST_OPSET = 18  # the exporter's native opset; newer ones are converted from it
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def require_packages() -> None:
    """Checks that the packages for ONNX are installed.

    Raises:
        UserError: One is missing.
    """
    for name in _PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            raise UserError(f"format=onnx needs {name} ({error}): pip install 'addnet[export]'") from error


def require_opset(opset: int) -> None:
    """Checks that an opset, a version of ONNX's operators, can be written.

    Raises:
        UserError: It can't be written.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise UserError(
            f"opset={opset} can't be written; use {OLDEST_OPSET} to {newest} (more runtimes support the older ones)"
        )


def write_onnx(
    network: nn.Module, path: Path, *, inputs: tuple[Tensor, Tensor], about: Mapping[str, Any], opset: int
) -> None:
    """Writes a network as ONNX: inputs `image` and `mask`, output `logits`, of any batch size.

    Args:
        network: From `fixed`.
        path: The file to write.
        inputs: Example inputs, a batch of at least two images and masks.
        about: The description, stored in `metadata_props` with each value as JSON.
        opset: Version of ONNX's operators.

    Raises:
        UserError: The exporter refuses that opset.
    """
    import onnx

    batch = torch.export.Dim("batch")
    with _quiet(), torch.no_grad():  # with gradients, attention is traced to operators that the exporter can't convert
        program = torch.onnx.export(
            network,
            inputs,
            input_names=["image", "mask"],
            output_names=["logits"],
            dynamic_shapes={"image": {0: batch}, "mask": {0: batch}},
            opset_version=opset,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    if (written := next(each.version for each in model.opset_import if not each.domain)) != opset:
        raise UserError(f"opset={opset} can't be written, the exporter wrote {written}; use opset={written}")
    _strip(model)
    model.doc_string = "ADDNet deepfake detector; metadata_props describe how to prepare images, each value is JSON"
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in about.items()})
    onnx.save(model, str(path))


def read_about(path: str | Path) -> dict[str, Any]:
    """Reads the description in an exported ONNX file."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    return {entry.key: json.loads(entry.value) for entry in model.metadata_props}


def runner(path: str | Path) -> Run:
    """Returns a function that runs an ONNX file with onnxruntime on the CPU: image, mask → logits.

    Raises:
        UserError: onnxruntime can't load it.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class
        raise UserError(f"onnxruntime can't load the exported network ({error}); try another opset") from error

    def run(image: Tensor, mask: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"image": image.numpy(), "mask": mask.numpy()})
        return torch.from_numpy(logits)

    return run


def _strip(model: Any) -> None:
    """Removes references to the author's source files that the exporter adds."""
    functions = list(model.functions)
    for part in (model, model.graph, *functions):
        del part.metadata_props[:]
    for node in (*model.graph.node, *(node for function in functions for node in function.node)):
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's own log messages and warnings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
