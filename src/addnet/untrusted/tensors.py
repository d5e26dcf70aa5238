"""Loads weight files from untrusted sources and checks how much memory they need before it is allocated.

Only tensors and plain values are loaded (`weights_only=True`, safetensors), so that no file can run code. A file can
still be larger than it looks: with compressed or overlapping parts, tensors that repeat a few numbers by strides, or
objects that a pickle creates.
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
_PICKLE = 64 << 20  # bytes of the pickle in it, which holds names and plain values: six per batch during an epoch
_PARTS = 100_000
_OBJECTS = 1 << 30  # bytes that plain values may use, beyond twice the size of the file
_VALUES, _DEPTH, _TEXT = 4_000_000, 64, 1_000_000


def load_torch(path: Path) -> Any:
    """Loads a file that `torch.save` wrote, with its tensors on the CPU.

    Raises:
        UserError: It needs more memory than its size explains, or is larger than any checkpoint; the message begins
            with `it `.
        Exception: Whatever torch raises for damaged bytes; `pickle.UnpicklingError` if code would be run.
    """
    size = _regular(path)
    if zipfile.is_zipfile(path):
        _check_parts(path, size)
    with memory_at_most(2 * size + _OBJECTS):
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check_values(content)
    return content


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """Loads the tensors of a `.safetensors` file; the reader refuses tensors whose bytes the file doesn't contain.

    Raises:
        UserError: It is larger than any checkpoint; the message begins with `it `.
        Exception: Whatever the reader raises for damaged bytes.
    """
    size = _regular(path)
    with memory_at_most(2 * size + _OBJECTS):
        return safetensors.torch.load_file(path)


def _regular(path: Path) -> int:
    """Checks that a path is a regular file and returns its size in bytes."""
    try:
        return require_regular(path, most=MOST)
    except UserError as error:
        raise UserError(f"it is not a weight file ({error})") from error


def _check_parts(path: Path, size: int) -> None:
    """Checks the directory of the archive; nothing is unpacked.

    Raises:
        UserError: The parts add up to more than the file: they are compressed or overlap.
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
    """Walks through the loaded content without recursion; an object that occurs twice counts twice.

    Raises:
        UserError: A tensor is larger than its storage, or there are more values than in any real checkpoint.
    """
    left, seen = [(content, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > _VALUES or depth > _DEPTH:
            raise UserError("it contains more plain values, or more deeply nested ones, than any checkpoint")
        if isinstance(value, Tensor):
            _check_tensor(value)
        elif isinstance(value, Mapping):
            left += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, (list, tuple, set, frozenset)):
            left += [(part, depth + 1) for part in value]
        elif isinstance(value, (str, bytes, bytearray)) and len(value) > _TEXT:
            raise UserError(f"it contains a text of {len(value):,} characters, as no checkpoint does")


def _check_tensor(tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise UserError(f"it contains a tensor of layout {tensor.layout} on {tensor.device}, as no checkpoint does")
    held = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > held:
        raise UserError(f"it contains a tensor of shape {tuple(tensor.shape)} that has only {held:,} bytes")
