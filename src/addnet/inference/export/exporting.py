"""One checkpoint → one exported file or folder, verified before it is moved to its name."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from addnet.checkpoints.file import read_checkpoint
from addnet.errors import UserError, require_choice
from addnet.inference.export import hub_folder, onnx_file, pt2_file
from addnet.inference.export.description import describe, described
from addnet.inference.export.fixed import fixed
from addnet.inference.export.output import require_free, whole
from addnet.inference.export.parity import ATOL, HALF_ATOL, Parity, Run, check_parity, random_batches, require_atol
from addnet.inference.network import network_of
from addnet.inference.shipped import located
from addnet.models import ADDNet

FORMATS = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ""}  # format → suffix, empty for a folder


@dataclass(frozen=True)
class Export:
    """The result of an export.

    Attributes:
        output: The file or folder.
        size: Its size in bytes.
        parity: The comparison with PyTorch.
        about: The description in the export.
    """

    output: Path
    size: int
    parity: Parity
    about: Mapping[str, Any]


def export_checkpoint(
    ckpt: str | Path,
    output: str | Path,
    *,
    format: str = "onnx",  # noqa: A002 - the word of the command
    opset: int = onnx_file.OLDEST_OPSET,
    tensors: str = "float32",
    atol: float | None = None,
    seed: int = 0,
    overwrite: bool = False,
    licence: str | None = None,
    weights: str | Path | None = None,
) -> Export:
    """Exports a checkpoint's network, and compares the export with PyTorch before it is moved to `output`.

    Args:
        ckpt: The checkpoint, the folder of an export of it, or a detector's name, see `located`.
        output: A file `.onnx` or `.pt2`, or a folder for safetensors.
        format: One of `FORMATS`.
        opset: Version of ONNX's operators.
        tensors: Dtype of the stored weights, `float32` or, for safetensors, `float16`, which takes half the space.
        atol: Largest difference of logits that is allowed, at most `ATOL`, or `HALF_ATOL` with `float16`; None: the
            largest of these.
        seed: Seed of the images and masks for the comparison.
        overwrite: Whether an existing output may be replaced.
        licence: Licence of the weights, as model hubs spell it, for the card of a safetensors folder; None: the licence
            of an adopted detector, else `other`.
        weights: File of the start weights, for a checkpoint that holds only its trained part; see `network_of`.

    Raises:
        UserError: The checkpoint is missing or damaged, an option is invalid, packages are missing, `output` exists or
            can't be written, or logits differ by more than is allowed.
    """
    place = Path(output)
    _check(place, require_choice("format", format, FORMATS), opset=opset, overwrite=overwrite)
    if require_choice("tensors", tensors, hub_folder.TENSORS) != "float32" and format != "safetensors":
        raise UserError(f"tensors={tensors} needs format=safetensors; other formats store and compute in float32")
    allowed = require_atol(atol, most=ATOL if tensors == "float32" else HALF_ATOL)
    net, about = _opened(located(ckpt), weights)
    licence = licence_of(licence, about, ckpt)
    size = int(about["preprocessing"]["image_size"])
    with whole(place) as part:
        if format == "safetensors":
            hub_folder.write_folder(net, part, about=about, licence=licence, tensors=tensors)
            _take_ratios(located(ckpt), part)
        else:
            _write_program(net, part, size=size, about=about, opset=opset if format == "onnx" else None)
        run = _runner(part, format)
        parity = check_parity(run, net, size=size, channels=net.in_chans, atol=allowed, seed=seed)
        written = sum(file.stat().st_size for file in part.iterdir()) if part.is_dir() else part.stat().st_size
    return Export(place, written, parity, about)


def licence_of(given: str | None, about: Mapping[str, Any], ckpt: str | Path) -> str:
    """Returns the licence for the card: the one given, or that of an adopted detector, or `other`.

    Raises:
        UserError: The detector was adopted, and its authors chose another licence.
    """
    own = (about.get("adopted") or {}).get("licence")
    if own and given and given != own:
        raise UserError(f"license={given}, but {ckpt} is an adopted detector under {own}: leave license out")
    return str(given or own or "other")


def _opened(path: Path, weights: str | Path | None) -> tuple[ADDNet, dict[str, Any]]:
    """Loads the network of a checkpoint or of an exported folder, with its description."""
    if folder := hub_folder.folder_of(path):
        net, config = hub_folder.load_exported(folder)
        about = {key: value for key, value in config.items() if key not in hub_folder.OF_THE_FOLDER}
    else:
        checkpoint = read_checkpoint(path, option="ckpt")
        about, net = describe(checkpoint, path), network_of(checkpoint, path, weights=weights)
    if not isinstance(net, ADDNet):
        raise UserError(f"{path}: a {type(net).__name__} can't be exported; only an ADDNet can")
    return net, about if "network" in about else described(net, about)


def _check(output: Path, format: str, *, opset: int, overwrite: bool) -> None:  # noqa: A002
    suffix = FORMATS[format]
    if suffix and output.suffix != suffix:
        raise UserError(f"output={output}: format={format} writes a file; name it {output.with_suffix(suffix).name}")
    if not suffix and output.suffix in (".safetensors", *filter(None, FORMATS.values())):
        raise UserError(f"output={output}: format={format} writes a folder; name it {output.with_suffix('').name}")
    require_free(output, overwrite=overwrite)
    if output.exists() and output.is_dir() != (not suffix):
        raise UserError(f"output={output} is a {'folder' if suffix else 'file'} and isn't replaced; name another")
    if output.is_dir() and any(output.iterdir()) and not hub_folder.is_export(output):
        raise UserError(f"output={output} is a folder with other files in it and isn't changed; name another")
    if format == "onnx":
        onnx_file.require_packages()
        onnx_file.require_opset(opset)


def _take_ratios(ckpt: Path, folder: Path) -> None:
    """Copies the likelihood ratios of a checkpoint to its export."""
    from addnet.evaluation.likelihood_files import place_beside, read_likelihood  # imports plotting libraries

    beside = place_beside(hub_folder.folder_of(ckpt) or ckpt)
    if beside.is_file() and read_likelihood(beside).weights in hub_folder.hashes_in(hub_folder.read_config(folder)):
        shutil.copyfile(beside, place_beside(folder))


def _write_program(net: ADDNet, part: Path, *, size: int, about: Mapping[str, Any], opset: int | None) -> None:
    network = fixed(net, size)
    inputs = list(random_batches(size, channels=net.in_chans))[-1]
    if opset is None:
        pt2_file.write_pt2(network, part, inputs=inputs, about=about)
    else:
        onnx_file.write_onnx(network, part, inputs=inputs, about=about, opset=opset)


def _runner(part: Path, format: str) -> Run:  # noqa: A002
    if format == "onnx":
        return onnx_file.runner(part)
    if format == "torch_export":
        return pt2_file.runner(part)
    return cast("Run", hub_folder.load_exported(part).net)
