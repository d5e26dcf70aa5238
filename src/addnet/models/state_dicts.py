"""State dicts as they are commonly published → one that fits a module: handles wrappers, prefixes and reshaping."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from timm.layers import resample_abs_pos_embed
from timm.models import adapt_input_conv
from torch import Tensor

from addnet.errors import UserError, shortened
from addnet.wording import count

# keys under which training scripts store the state dict, in order of preference
_ENTRIES = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "backbone", "encoder")
_DEEPEST = 3
_POSITIONS = "pos_embed"
_COUNTER = "num_batches_tracked"


class MatchedTensors(NamedTuple):
    """The part of a state dict that belongs to a module.

    Attributes:
        state: Every entry of the module.
        left_out: Names of entries that don't belong to the module, as in the file.
    """

    state: dict[str, Tensor]
    left_out: list[str]


def unwrapped(content: Any) -> dict[str, Any]:
    """Finds the state dict in the content of a file: the content itself, or one of its entries such as `state_dict`.

    Args:
        content: The content of the file, such as `{"model": {...}, "epoch": 3}`.

    Returns:
        Names to values; empty if there are no tensors.

    Raises:
        UserError: Several entries hold weights, and none has a usual name.
    """
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            return {}
        inside = [str(name) for name, value in content.items() if _holds_tensors(value)]
        named = [name for name in _ENTRIES if name in inside]
        loose = sum(isinstance(value, Tensor) for value in content.values())
        if loose and not named and loose >= max((len(content[name]) for name in inside), default=0):
            return {str(name): value for name, value in content.items()}
        if not named and len(inside) > 1:
            raise UserError(
                f"it holds several sets of weights ({shortened(inside)}); save only the one you want, "
                f"e.g. with torch.save(torch.load(PATH)[{inside[0]!r}], PATH)"
            )
        content = content[(named or inside)[0]] if named or inside else {}
    return {}


def fitted(
    given: Mapping[str, Any],
    expected: Mapping[str, Tensor],
    *,
    stems: Container[str] = (),
    grid: tuple[int, int] | None = None,
) -> MatchedTensors:
    """Extracts a module's entries from a state dict under whatever prefix they have.

    The module may be anywhere in the file's network (`model.`, `module.backbone.`, `encoder.` …), alongside a
    classifier or other layers. If shapes differ only by dimensions of size 1 (a 1 × 1 convolution stored as a matrix),
    the tensor is reshaped; a stem for another number of input channels is repeated and scaled, so that its response to
    equal channels stays the same; position embeddings of another grid are resampled as in timm.

    Args:
        given: Names to tensors; other values are ignored.
        expected: State dict of the module.
        stems: Names of the weights that are applied to the channels of the image.
        grid: Height and width of the module's grid of patches, if it has one.

    Raises:
        UserError: An entry of the module is missing or of another shape, or there are several such modules.
    """
    tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
    prefix = _prefix(tensors, expected)
    state = {name: _shaped(name, tensors.get(prefix + name), wanted, stems, grid) for name, wanted in expected.items()}
    _check(state, expected, prefix, list(given))
    ours = {prefix + name for name in expected}
    return MatchedTensors(
        {name: value for name, value in state.items() if value is not None}, [n for n in given if n not in ours]
    )


def in_order(given: Mapping[str, Any], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the tensors of a state dict to the names of another one with the same tensors in the same order.

    Batch counters, which don't affect a network's output, are ignored.

    Args:
        given: Names to tensors.
        expected: State dict with the names to use.

    Raises:
        UserError: The number of tensors differs, or the shape or kind (`weight`, `running_mean` …) of one of them.
    """
    tensors, wanted = ({n: v for n, v in state.items() if not n.endswith(_COUNTER)} for state in (given, expected))
    if len(tensors) != len(wanted):
        raise UserError(f"{count(len(tensors), 'tensor')} instead of {len(wanted)} expected")
    for (name, value), (other, like) in zip(tensors.items(), wanted.items(), strict=True):
        if _kind(name) != _kind(other) or not isinstance(value, Tensor) or not _fits(value, like):
            actual = _described(value) if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"{name} {actual} found where {other} {_described(like)} is expected")
    return dict(zip(wanted, tensors.values(), strict=True))


def by_part(names: Iterable[str]) -> str:
    """Lists names of entries grouped by the layer they belong to, with counts.

    Example:
        >>> by_part(["fc.weight", "fc.bias", "adjust_channel.0.weight", "epoch"])
        'fc (2), adjust_channel (1), epoch'
    """
    names = list(names)
    counts = Counter(name.rpartition(".")[0] and _layer(name) for name in names)
    whole = [name for name in names if "." not in name]
    return shortened([f"{layer} ({count})" for layer, count in counts.items() if layer] + whole)


def _layer(name: str) -> str:
    """The layer of an entry, without the numbers of its parts: `net.head.1.bias` → `net.head`."""
    parts = name.split(".")[:-1]
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return ".".join(parts)


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _holds_tensors(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(v, Tensor) or (n in _ENTRIES and _holds_tensors(v)) for n, v in value.items())


def _prefix(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """The prefix of the module's names in the file.

    Raises:
        UserError: Several prefixes match the most names equally often.
    """
    found: Counter[str] = Counter()
    for name in given:
        parts = name.split(".")
        for depth in range(len(parts)):
            if ".".join(parts[depth:]) in expected:
                found["".join(f"{part}." for part in parts[:depth])] += 1
    if not found:
        return ""
    most = max(found.values())
    best = [prefix for prefix, count in found.items() if count == most]
    if len(best) > 1 and most > len(expected) // 2:
        raise UserError(
            f"it contains this network {len(best)} times ({shortened(best)}); save only the one you want, without its "
            "prefix"
        )
    return best[0]


def _shaped(
    name: str, value: Tensor | None, wanted: Tensor, stems: Container[str], grid: tuple[int, int] | None
) -> Tensor | None:
    """Adapts a value to the expected shape if that preserves its meaning; otherwise returns it unchanged."""
    if value is None:  # files older than torch 0.4.1 have no such counter
        return torch.zeros_like(wanted) if name.endswith(_COUNTER) else None
    if name in stems and value.ndim == 4 and value.shape[1] == 3 and wanted.shape[1] != 3:
        return adapt_input_conv(wanted.shape[1], value)
    if grid and name.endswith(_POSITIONS) and value.ndim == wanted.ndim == 3 and value.shape[1] != wanted.shape[1]:
        return _on_grid(value, wanted, grid)
    same = [size for size in value.shape if size > 1] == [size for size in wanted.shape if size > 1]
    return value.reshape(wanted.shape) if same else value


def _on_grid(value: Tensor, wanted: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resamples position embeddings (1, N, C) of square images to another grid of patches; returns others unchanged."""
    prefix = wanted.shape[1] - grid[0] * grid[1]
    side = math.isqrt(max(0, value.shape[1] - prefix))
    if value.shape[2] != wanted.shape[2] or prefix < 0 or side == 0 or side**2 + prefix != value.shape[1]:
        return value
    resampled: Tensor = resample_abs_pos_embed(value, list(grid), [side, side], num_prefix_tokens=prefix)
    return resampled


def _check(state: Mapping[str, Tensor | None], expected: Mapping[str, Tensor], prefix: str, given: list[str]) -> None:
    """Checks names, shapes and dtypes.

    Raises:
        UserError: They differ; the message names up to ten differences of each kind and counts all of them.
    """
    missing = [name for name in expected if state[name] is None]
    other = [
        f"{prefix}{name} {_described(value)} instead of {_described(expected[name])}"
        for name, value in state.items()
        if value is not None and not _fits(value, expected[name])
    ]
    kinds = {"missing": missing, "of another shape": other}
    found = [
        f"{len(names)} of {count(len(expected), 'entry', 'entries')} {kind}: {shortened(names)}"
        for kind, names in kinds.items()
        if names
    ]
    if not found:
        return
    held = f"; the file holds {len(given)}: {shortened(given)}" if missing else ""
    raise UserError("; ".join(found) + held)


def _fits(value: Tensor, wanted: Tensor) -> bool:
    """Whether a value can be copied: float dtypes are cast, but integers can't become weights without their scales."""
    return value.shape == wanted.shape and (value.is_floating_point() or not wanted.is_floating_point())


def _described(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
