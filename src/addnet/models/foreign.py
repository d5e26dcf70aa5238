"""State dicts of others' networks → ours: each of our tensors is made of theirs, and every one of theirs is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from addnet.errors import UserError
from addnet.models.state_dicts import MatchedTensors, by_part, fitted

Names: TypeAlias = Callable[[str], tuple[str, ...]]  # one of our names → the corresponding names of theirs

# timm's names → those of CLIP's image encoder in Hugging Face transformers, which does spell it `pre_layrnorm`
_CLIP_WHOLE = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding.weight",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    **{f"norm_pre.{kind}": f"pre_layrnorm.{kind}" for kind in ("weight", "bias")},
    **{f"norm.{kind}": f"post_layernorm.{kind}" for kind in ("weight", "bias")},
}
_CLIP_LAYERS = {
    "norm1": ("layer_norm1",),
    "norm2": ("layer_norm2",),
    "attn.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.proj": ("self_attn.out_proj",),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
}


def translated(
    given: Mapping[str, Any], expected: Mapping[str, Tensor], names: Names, *, unused: Mapping[str, str]
) -> MatchedTensors:
    """Converts a state dict of someone else's network to ours; every tensor of both must be accounted for.

    Args:
        given: Names to tensors, as in the file; all may share one more prefix, such as `module.`.
        expected: State dict of our network; it may be on torch's meta device.
        names: Maps one of our names to the corresponding names in the file; several tensors are concatenated along the
            first dimension.
        unused: Patterns of names in the file that scores don't depend on, and why.

    Returns:
        Our state dict, in the dtypes of the file, and the names of unused tensors.

    Raises:
        UserError: A tensor is missing, has another shape, or is in the file but unknown; the message uses the names in
            the file.
    """
    theirs = {name: names(name) for name in expected}
    like: dict[str, Tensor] = {}
    for ours, tensor in expected.items():
        parts = tensor.chunk(len(theirs[ours])) if tensor.ndim else (tensor,)
        like |= dict(zip(theirs[ours], parts, strict=True))
    found = fitted({name: value for name, value in given.items() if isinstance(value, Tensor)}, like)
    unknown = [name for name in found.left_out if not any(re.search(pattern, name) for pattern in unused)]
    if unknown:
        raise UserError(f"it holds tensors that this network doesn't have: {by_part(unknown)}")
    state = {ours: _joined([found.state[name] for name in theirs[ours]]) for ours in expected}
    return MatchedTensors(state, found.left_out)


def _joined(parts: list[Tensor]) -> Tensor:
    """Concatenates tensors; a batch counter missing from the file, which doesn't affect scores, becomes 0."""
    parts = [torch.zeros_like(part, device="cpu") if part.is_meta else part for part in parts]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def of_clip(name: str) -> tuple[str, ...]:
    """Names in the `vision_model` of transformers' CLIP for a name in a vision transformer of timm.

    Example:
        >>> of_clip("blocks.3.attn.proj.bias")
        ('encoder.layers.3.self_attn.out_proj.bias',)
    """
    if not (found := re.fullmatch(r"blocks\.(\d+)\.(.+)\.(weight|bias)", name)):
        return (_CLIP_WHOLE[name],)
    number, layer, kind = found.groups()
    return tuple(f"encoder.layers.{number}.{part}.{kind}" for part in _CLIP_LAYERS[layer])


def of_gend(name: str) -> tuple[str, ...]:
    """Names in GenD on CLIP for a name in an `ADDNet` on a vision transformer.

    Example:
        >>> of_gend("head.bias"), of_gend("backbone.cls_token")
        (('model.linear.bias',), ('feature_extractor.vision_model.embeddings.class_embedding',))
    """
    part, _, rest = name.partition(".")
    if part == "head":
        return (f"model.linear.{rest}",)
    return tuple(f"feature_extractor.vision_model.{their}" for their in of_clip(rest))


def of_deepfakebench(name: str) -> tuple[str, ...]:
    """The name in DeepfakeBench's Xception detector for a name in an `ADDNet2D_Xception`; only the head differs.

    Example:
        >>> of_deepfakebench("head.weight"), of_deepfakebench("backbone.block1.rep.0.conv1.weight")
        (('backbone.last_linear.weight',), ('backbone.block1.rep.0.conv1.weight',))
    """
    return (re.sub(r"^head\.", "backbone.last_linear.", name),)
