"""Any network of timm → its description: found out by one pass on torch's meta device, which computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from addnet.errors import UserError
from addnet.models.stages import CHANNELS_LAST, INPUT, MAPS, TOKENS, Description, Stage

_LAST = 4  # stages of a network of equal blocks that `full` takes: at the ends of its quarters


def describe(name: str, options: Mapping[str, Any] | None = None, *, in_chans: int = 3) -> Description:
    """Describes a network of timm by its `feature_info` and the shapes that its stages give.

    Args:
        name: As timm knows it.
        options: Further arguments of `timm.create_model`.
        in_chans: Channels of the image.

    Raises:
        UserError: The network has no stages that attention could follow.
    """
    with torch.device("meta"):
        net = timm.create_model(name, num_classes=0, in_chans=in_chans, **(options or {})).eval()
    info = _feature_info(net, name)
    config = getattr(net, "pretrained_cfg", {}) or {}
    height, width = _size(net, config)
    image = torch.zeros(1, in_chans, height, width, device="meta")
    shapes = _shapes(net, [row["module"] for row in info], image)
    prefix = int(getattr(net, "num_prefix_tokens", 0) or 0)
    found = [Stage(INPUT, "", MAPS, in_chans)]
    for row in info:
        shape = shapes.get(row["module"])
        stage = None if shape is None else _stage(row, shape, (height, width), prefix)
        if stage is not None:
            found.append(stage)
    sites = [stage.name for stage in found if stage.site and stage.name != INPUT]
    if not sites:
        raise UserError(
            f"model.backbone={name} has no stages of maps or tokens that attention could follow; use another backbone, "
            "or model.placement=none"
        )
    return Description(
        name=name,
        stages=tuple(found),
        num_features=int(net(image).shape[-1]),
        placements={"full": _spread(found), "late": (sites[-1],), "none": ()},
        explained=sites[-1],
        mean=tuple(config.get("mean") or (0.5,) * 3),
        std=tuple(config.get("std") or (0.5,) * 3),
        side=height,
    )


def _feature_info(net: nn.Module, name: str) -> list[dict[str, Any]]:
    info = getattr(net, "feature_info", None)
    rows = [dict(row) for row in (getattr(info, "info", info) or ())]
    modules = dict(net.named_modules())
    rows = [row for row in rows if row["module"] in modules]
    if not rows:
        raise UserError(
            f"model.backbone={name} doesn't say what its stages are (timm's feature_info), so attention can't follow "
            "them; use another backbone"
        )
    return [{**row, "module": _kept_whole(net, modules, row["module"])} for row in rows]


def _kept_whole(net: nn.Module, modules: Mapping[str, nn.Module], name: str) -> str:
    """The module itself, or the sequence that it ends where it may be replaced by a synchronised normalisation."""
    parent = name.rpartition(".")[0]
    if isinstance(modules[name], _BatchNorm) and parent and list(modules[parent].children())[-1] is modules[name]:
        return parent
    return name


def _size(net: nn.Module, config: Mapping[str, Any]) -> tuple[int, int]:
    embed = getattr(net, "patch_embed", None)
    size = getattr(embed, "img_size", None) or (config.get("input_size") or (3, 224, 224))[1:]
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _shapes(net: nn.Module, names: list[str], image: Tensor) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            found[name] = tuple(output.shape)

    modules = dict(net.named_modules())
    hooks = [modules[name].register_forward_hook(partial(note, name)) for name in names]
    try:
        with torch.no_grad():
            net.forward_features(image)  # type: ignore[operator]
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _stage(row: Mapping[str, Any], shape: tuple[int, ...], size: tuple[int, int], prefix: int) -> Stage | None:
    """What ends with a module; None where its output is neither maps nor tokens on a grid."""
    channels = int(row["num_chs"])
    named = partial(Stage, row["module"], row["module"])
    if len(shape) == 4 and shape[1] == channels:
        return named(MAPS, channels, round(size[0] / shape[2]))
    if len(shape) == 4:
        return named(CHANNELS_LAST, shape[3], round(size[0] / shape[1]))
    if len(shape) != 3:
        return None
    for before in sorted({0, prefix}):
        patches = shape[1] - before
        side = round((patches * size[1] / size[0]) ** 0.5)  # of the grid's width, which has the image's proportions
        if side and patches % side == 0 and (patches // side) * size[1] == side * size[0]:
            return named(TOKENS, shape[2], round(size[1] / side), before)
    return None


def _spread(stages: list[Stage]) -> tuple[str, ...]:
    """The last stage of each resolution; of a network of one resolution those at the ends of its quarters."""
    sites = [stage for stage in stages if stage.site and stage.name != INPUT]
    last = {stage.reduction: stage.name for stage in sites}
    if len(last) > 1 or len(sites) <= _LAST:
        return tuple(last.values()) if len(last) > 1 else tuple(stage.name for stage in sites)
    return tuple(sites[(quarter + 1) * len(sites) // _LAST - 1].name for quarter in range(_LAST))
