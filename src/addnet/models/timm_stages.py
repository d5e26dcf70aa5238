"""Any network of timm → its description, determined by one pass on torch's meta device, which computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from timm.layers import PatchEmbed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from addnet.errors import UserError
from addnet.models.backbones import backbone_options, create_backbone, reason, require_size
from addnet.models.stages import CHANNELS_LAST, INPUT, MAPS, TOKENS, Description, Stage

_known: dict[str, Description] = {}  # cache: a run builds its network several times, and a pass takes up to a second
# classes of timm whose `feature_info` names no module, or one that outputs branches → the modules to use instead
_RENAMED: Mapping[str, Mapping[str, str]] = {
    "HighResolutionNet": {
        "stem": "act1",
        **{f"stage{number}": f"incre_modules.{number - 1}" for number in range(1, 5)},
    },
    "MultiScaleVit": {f"block.{number}": f"stages.{number}" for number in range(4)},
    "Twins": {f"block.{number}": f"blocks.{number}" for number in range(4)},
}
_LAST = 4  # stages of a network of equal blocks in `full`: the ends of its quarters


def describe(
    name: str, options: Mapping[str, Any] | None = None, *, in_chans: int = 3, image_size: int | None = None
) -> Description:
    """Describes a network of timm by its `feature_info` and the output shapes of its stages.

    If a network has no stages, the image is its only site.

    Args:
        name: The network's name in timm.
        options: Further arguments of the network.
        in_chans: Channels of the image.
        image_size: Side of the images in pixels that it must accept; None: the size that it was designed for.

    Raises:
        UserError: The name, an option or the size is not valid.
    """
    key = repr((name, sorted((options or {}).items()), in_chans, image_size))
    if key not in _known:
        _known[key] = _found(name, options, in_chans, image_size)
    return _known[key]


def _found(name: str, options: Mapping[str, Any] | None, in_chans: int, image_size: int | None) -> Description:
    net = _on_meta(name, options, in_chans)
    config = getattr(net, "pretrained_cfg", {}) or {}
    size = _size(net, config)
    try:
        stages, num_features = _stages(net, size, in_chans)
    except NotImplementedError as error:  # of encoders that can't pool their features
        raise UserError(f"model.backbone={name} is not a classifier: {reason(error)}") from error
    if image_size and (image_size, image_size) != size:
        names = [stage.name for stage in stages]
        fits = partial(objection, name, stages=names, options=options, in_chans=in_chans)
        require_size(name, image_size, fits, own=max(size))
    sites = [stage.name for stage in stages if stage.site and stage.name != INPUT]
    return Description(
        name=name,
        stages=tuple(stages),
        num_features=num_features,
        placements={"full": _spread(stages), "late": (_spread(stages)[-1],), "none": ()} if sites else {"none": ()},
        explained=sites[-1] if sites else "",
        mean=tuple(config.get("mean") or (0.5,) * 3),
        std=tuple(config.get("std") or (0.5,) * 3),
        side=size[0],
        lacking="" if sites else _lacking(net),
    )


def _on_meta(name: str, options: Mapping[str, Any] | None, in_chans: int, image_size: int | None = None) -> nn.Module:
    made = backbone_options(name, options, image_size=image_size)
    with torch.device("meta"):
        return create_backbone(name, made, in_chans=in_chans).eval()


def objection(
    name: str, side: int, *, stages: Iterable[str], options: Mapping[str, Any] | None = None, in_chans: int = 3
) -> str | None:
    """Returns why a network can't process images of a size.

    Args:
        name: The network's name in timm.
        side: Side of the images in pixels.
        stages: Names of its stages at the size that it was designed for.
        options: Further arguments of the network.
        in_chans: Channels of the image.

    Returns:
        The reason, empty if timm gives none; None if the network accepts the images and has the same stages.
    """
    try:
        net = _on_meta(name, options, in_chans, side)
        if left_over := _left_over(net, side):
            return left_over
        found = [stage.name for stage in _stages(net, (side, side), in_chans)[0]]
    except Exception as error:  # timm's networks raise errors of any class
        return reason(error) if isinstance(error, AssertionError | UserError) else ""
    return None if found == list(stages) else "its patches would not form a grid"


def _left_over(net: nn.Module, side: int) -> str | None:
    """The reason why patches don't cover the image; None if they do, or if the network pads the image."""
    embed = getattr(net, "patch_embed", None)
    if not isinstance(embed, PatchEmbed) or embed.dynamic_img_pad or side % embed.patch_size[0] == 0:
        return None
    return f"its patches of {embed.patch_size[0]} pixels would omit {side % embed.patch_size[0]} pixels of each row"


def _stages(net: nn.Module, size: tuple[int, int], in_chans: int) -> tuple[list[Stage], int]:
    """The image, and the stages of `feature_info` whose output lies on a grid; channels of the pooled features."""
    rows = _feature_info(net)
    image = torch.zeros(1, in_chans, *size, device="meta")
    shapes, end, num_features = _shapes(net, [row["module"] for row in rows], image)
    prefix = int(getattr(net, "num_prefix_tokens", 0) or 0)
    patches = getattr(getattr(net, "patch_embed", None), "num_patches", None)
    found = [_first(row, shapes[row["module"]], size, prefix, patches) for row in rows if row["module"] in shapes]
    stages = [stage for stage in found if stage is not None and end]
    if stages and _unread(net, stages[-1], end, size):
        stages[-1] = replace(stages[-1], site=False)
    return [Stage(INPUT, "", MAPS, in_chans), *stages], num_features


def _unread(net: nn.Module, last: Stage, end: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether only the class token of the last stage's output is used."""
    patches = (size[0] // last.reduction) * (size[1] // last.reduction)
    of_tokens = bool(last.prefix) and getattr(net, "global_pool", None) == "token"
    return of_tokens or (len(end) == 3 and end[1] < patches)


def _feature_info(net: nn.Module) -> list[dict[str, Any]]:
    modules = dict(net.named_modules())
    rows = [row for row in _rows(net) if row["module"] in modules]
    names = [row["module"] for row in rows]
    if _reordered(net) or len(set(names)) < len(names):
        return []
    return [{**row, "module": _kept_whole(net, modules, row["module"])} for row in rows]


def _rows(net: nn.Module) -> list[dict[str, Any]]:
    info, renamed = getattr(net, "feature_info", None), _RENAMED.get(type(net).__name__, {})
    return [{**row, "module": renamed.get(row["module"], row["module"])} for row in (getattr(info, "info", info) or ())]


def _reordered(net: nn.Module) -> bool:
    """Whether patches are in the order of Hiera's mask units instead of rows (Ryali et al. 2023, arXiv 2306.00989)."""
    return hasattr(net, "unroll") and hasattr(net, "reroll")


def _lacking(net: nn.Module) -> str:
    if _reordered(net):
        return "its patches are not in row order"
    if not getattr(net, "feature_info", None):
        return "it doesn't declare its stages (timm's feature_info)"
    names = [row["module"] for row in _rows(net)]
    if len(set(names)) < len(names):
        return "its stages have branches that read images at different scales"
    return "its stages or its final features are neither maps nor tokens on one grid"


def _kept_whole(net: nn.Module, modules: Mapping[str, nn.Module], name: str) -> str:
    """Name of the module to hook for a stage: the last of a `ModuleList`, which doesn't run itself; otherwise itself.

    For a batch normalisation that ends a sequence it is the sequence: synchronised normalisation replaces the module
    itself, and hooks on it would be lost.
    """
    if isinstance(modules[name], nn.ModuleList):
        return f"{name}.{len(list(modules[name].children())) - 1}"
    parent = name.rpartition(".")[0]
    if isinstance(modules[name], _BatchNorm) and parent and list(modules[parent].children())[-1] is modules[name]:
        return parent
    return name


def _size(net: nn.Module, config: Mapping[str, Any]) -> tuple[int, int]:
    embed = getattr(net, "patch_embed", None)
    size = getattr(embed, "img_size", None) or (config.get("input_size") or (3, 224, 224))[1:]
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


_Shapes = list[tuple[int | None, tuple[int, ...]]]  # index and shape of each tensor of an output; index None: only one


def _shapes(net: nn.Module, names: list[str], image: Tensor) -> tuple[dict[str, _Shapes], tuple[int, ...], int]:
    """Output shapes of modules; that of the final features, () if they are several tensors; channels once pooled."""
    found: dict[str, _Shapes] = {}

    def note(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            found[name] = [(None, tuple(output.shape))]
        elif isinstance(output, (tuple, list)):
            parts = enumerate(output)
            found[name] = [(number, tuple(part.shape)) for number, part in parts if isinstance(part, Tensor)]

    modules = dict(net.named_modules())
    hooks = [modules[name].register_forward_hook(partial(note, name)) for name in names]
    try:
        with torch.no_grad():
            end = net.forward_features(image)  # type: ignore[operator]
            pooled = net.forward_head(end)  # type: ignore[operator]
    finally:
        for hook in hooks:
            hook.remove()
    return found, tuple(end.shape) if isinstance(end, Tensor) else (), int(pooled.shape[-1])


def _first(
    row: Mapping[str, Any], shapes: _Shapes, size: tuple[int, int], prefix: int, patches: int | None
) -> Stage | None:
    """The stage for the first tensor of an output that is maps or tokens on a grid, with the declared channels."""
    for part, shape in shapes:
        stage = _stage(row, shape, size, prefix, patches)
        if stage and (part is None or stage.channels == row["num_chs"]):
            return replace(stage, part=part)
    return None


def _stage(
    row: Mapping[str, Any], shape: tuple[int, ...], size: tuple[int, int], prefix: int, patches: int | None
) -> Stage | None:
    """The stage that ends with a module; None if its output is neither maps nor tokens on a grid."""
    channels = int(row["num_chs"])
    named = partial(Stage, row["module"], row["module"])
    if len(shape) == 4 and shape[1] == channels:
        return named(MAPS, channels, round(size[0] / shape[2]))
    if len(shape) == 4:
        return named(CHANNELS_LAST, shape[3], round(size[0] / shape[1]))
    if len(shape) != 3:
        return None
    order = sorted({0, prefix}, reverse=shape[1] - prefix == patches)  # 5 prefix + 4 patch tokens could pass for 3 × 3
    order += [1] if 1 not in order else []  # a class token that a network doesn't declare
    for before in order:
        count = shape[1] - before
        side = round((count * size[1] / size[0]) ** 0.5)  # the grid's width, by the image's aspect ratio
        if side and count % side == 0 and (count // side) * size[1] == side * size[0]:
            return named(TOKENS, shape[2], round(size[1] / side), before)
    return None


def _spread(stages: list[Stage]) -> tuple[str, ...]:
    """The last stage of each resolution; for a network of equal blocks, the stages at the ends of its quarters.

    For equal blocks of tokens, the last block is excluded: no attention follows it.
    """
    sites = [stage for stage in stages if stage.site and stage.name != INPUT]
    last = {stage.reduction: stage.name for stage in sites}
    if len(last) > 1:
        return tuple(last.values())
    if sites[-1].form == TOKENS and sites[-1] is stages[-1] and len(sites) > 1:
        sites = sites[:-1]
    quarters = min(_LAST, len(sites))
    return tuple(sites[(quarter + 1) * len(sites) // quarters - 1].name for quarter in range(quarters))
