"""Files of weights that anybody may have made: what they ask for is known before memory is taken for it.

Only tensors and plain values are ever loaded (`weights_only=True`, safetensors), so that no file can run code. What is
left to a file is to be larger than it looks: parts that are deflated or lie over each other, tensors that repeat a few
numbers by strides, objects that a pickle makes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from addnet.errors import UserError
from addnet.untrusted.files import require_regular
from addnet.untrusted.limits import bytes_in_words, memory_at_most

MOST = 4 << 30  # bytes of a file
_PICKLE = 64 << 20  # of the pickle in it, which holds names and plain values: six a batch in the midst of an epoch
_PARTS = 100_000
_OBJECTS = 1 << 30  # bytes that plain values may take, beyond twice the file
_VALUES, _DEPTH, _TEXT = 4_000_000, 64, 1_000_000


def load_torch(path: Path) -> Any:
    """What `torch.save` wrote; tensors on the CPU.

    Raises:
        UserError: It asks for more than it holds, or is larger than any checkpoint; the text begins with `it `.
        Exception: Whatever torch raises on damaged bytes; `pickle.UnpicklingError` where code would be run.
    """
    size = _regular(path)
    if zipfile.is_zipfile(path):
        _check_parts(path, size)
    with memory_at_most(2 * size + _OBJECTS):
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check_values(content)
    return content


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file, which states the size of each; the reader refuses those it doesn't have.

    Raises:
        UserError: It is larger than any checkpoint; the text begins with `it `.
        Exception: Whatever the reader raises on damaged bytes.
    """
    size = _regular(path)
    with memory_at_most(2 * size + _OBJECTS):
        return safetensors.torch.load_file(path)


def _regular(path: Path) -> int:
    """Size of the file."""
    try:
        return require_regular(path, most=MOST)
    except UserError as error:
        raise UserError(f"it is not a file of weights ({error})") from error


def _check_parts(path: Path, size: int) -> None:
    """Looks into the directory of the archive; nothing is unpacked.

    Raises:
        UserError: The parts are more than the file has bytes for: deflated, or over each other.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    whole = sum(part.file_size for part in parts)
    if whole > size or any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise UserError(f"it has {size:,} bytes and would unpack to {whole:,}, as no checkpoint does")
    if len(parts) > _PARTS:
        raise UserError(f"it has {len(parts):,} parts; no checkpoint has more than {_PARTS:,}")
    if any(part.file_size > _PICKLE for part in parts if part.filename.endswith(".pkl")):
        raise UserError(f"its plain values take more than {bytes_in_words(_PICKLE)}, as in no checkpoint")


def _check_values(content: Any) -> None:
    """Walks through what was read, without recursion; what is in there twice counts twice.

    Raises:
        UserError: A tensor repeats numbers instead of having them, or there are more values than anybody writes.
    """
    left, seen = [(content, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > _VALUES or depth > _DEPTH:
            raise UserError("it holds more plain values, or deeper ones, than any checkpoint")
        if isinstance(value, Tensor):
            _check_tensor(value)
        elif isinstance(value, Mapping):
            left += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, (list, tuple, set, frozenset)):
            left += [(part, depth + 1) for part in value]
        elif isinstance(value, (str, bytes, bytearray)) and len(value) > _TEXT:
            raise UserError(f"it holds a text of {len(value):,} characters, as no checkpoint does")


def _check_tensor(tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise UserError(f"it holds a tensor of layout {tensor.layout} on {tensor.device}, as no checkpoint does")
    held = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > held:
        raise UserError(f"it holds a tensor {tuple(tensor.shape)} that has only {held:,} bytes")
