"""Which part of a network is trained: all of it, its head, its normalisation, its biases, its end, low-rank updates."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import timm
import torch
from timm.layers import (
    EvoNorm2dB0,
    EvoNorm2dB1,
    EvoNorm2dB2,
    EvoNorm2dS0,
    EvoNorm2dS1,
    EvoNorm2dS2,
    FilterResponseNormAct2d,
    FilterResponseNormTlu2d,
    RmsNorm,
    RmsNorm2d,
    SimpleNorm,
    SimpleNorm2d,
)
from timm.layers.grn import GlobalResponseNorm
from timm.layers.inplace_abn import InplaceAbn
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from addnet.errors import UserError, suggestion
from addnet.models.lora import LoRALinear, attention_layers, merge_lora
from addnet.models.spans import parts_of
from addnet.wording import count

if TYPE_CHECKING:
    from addnet.models.network import ADDNet

ALL = "all"
_PLAIN = (ALL, "head", "norm", "bias")
_NUMBERED = {"last": "K", "lora": "R"}
_VALID = ", ".join([*_PLAIN, *(f"{kind}:{number}" for kind, number in _NUMBERED.items())])
_BACKBONE = "backbone"  # the part of a network that isn't always trained
# what normalises features in torch and timm; classes that derive from these come with them
NORMS: tuple[type[nn.Module], ...] = (
    *(_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
    *(RmsNorm, RmsNorm2d, SimpleNorm, SimpleNorm2d, GlobalResponseNorm, InplaceAbn),
    *(EvoNorm2dB0, EvoNorm2dB1, EvoNorm2dB2, EvoNorm2dS0, EvoNorm2dS1, EvoNorm2dS2),
    *(FilterResponseNormAct2d, FilterResponseNormTlu2d),
)


class Tuning(NamedTuple):
    """What `model.tune` says.

    Attributes:
        kind: `all`, `head`, `norm`, `bias`, `last` or `lora`.
        number: K of `last:K`, R of `lora:R`; else 0.
    """

    kind: str
    number: int = 0

    @classmethod
    def of(cls, tune: object) -> Tuning:
        """Reads it.

        Raises:
            UserError: It is none of the valid values.

        Example:
            >>> Tuning.of("lora:8")
            Tuning(kind='lora', number=8)
        """
        if isinstance(tune, str) and tune in _PLAIN:
            return cls(tune)
        found = re.fullmatch(r"(last|lora):([1-9]\d{0,3})", tune) if isinstance(tune, str) else None
        if not found:
            raise UserError(
                f"model.tune={tune!r} is not valid; use one of: {_VALID}, where K and R are whole numbers of at least "
                f"1.{suggestion(tune, _PLAIN)}"
            )
        return cls(found[1], int(found[2]))


def apply_tuning(net: ADDNet, tune: str) -> None:
    """Lets a part of the backbone learn; head, bandpass sigmas and ADD blocks, which are new, always do.

    Args:
        net: Whose weights are those that it starts from; with `lora:R` it gets further parameters.
        tune: What of the backbone is trained: `all`; `head`: nothing; `norm`: weights and biases of normalisation
            layers, of whichever type; `bias`: every bias, those of normalisation included (Ben Zaken et al. 2022,
            arXiv 2106.10199); `last:K`: the last K of its stages that have parameters, as `net.stages()` orders them,
            what comes after the last block being one; `lora:R`: updates of rank R of the linear layers of attention.

    Raises:
        UserError: It is not valid, or the backbone has no such part.
    """
    kind, number = Tuning.of(tune)
    if kind == ALL:
        return
    backbone = net.backbone
    learning = {id(parameter) for parameter in backbone.parameters() if parameter.requires_grad}
    if kind == "lora":
        chosen = _put_lora(net, number)
        learning |= {id(parameter) for parameter in chosen}
    else:
        chosen = _chosen(net, kind, number)
    backbone.requires_grad_(False)
    for parameter in chosen:
        parameter.requires_grad_(id(parameter) in learning)  # a table that timm keeps fixed stays so


def merge_tuned(net: nn.Module) -> None:
    """Makes a tuned network a plain one of the same answers, with the weights and names that `tune=all` has."""
    merge_lora(net)
    if hasattr(net, "tune"):
        net.tune = ALL  # type: ignore[assignment]


def at_rest(net: nn.Module) -> list[nn.Module]:
    """The modules of a backbone that stay in evaluation mode while the rest is trained.

    These are stages nothing of which learns, and elsewhere the normalisation layers whose own parameters don't: running
    statistics change exactly where the layer that they belong to is trained.
    """
    if getattr(net, "tune", ALL) == ALL:
        return []
    found: list[nn.Module] = []
    for _, modules, parameters in parts_of(net.backbone, net.description.stages):  # type: ignore[arg-type, union-attr]
        if not any(parameter.requires_grad for parameter in parameters):
            found += modules
        else:
            found += [part for module in modules for part in module.modules() if _is_still(part)]
    return found


def still_entries(net: nn.Module) -> frozenset[str]:
    """Names in a network's state dict of what training leaves as its start weights have it: parameters, statistics.

    What they were made to fit by arithmetic is not among them, such as position embeddings of another size: other
    machines may round it otherwise.
    """
    if getattr(net, "tune", ALL) == ALL:
        return frozenset()
    resting = {id(part) for module in at_rest(net) for part in module.modules()}
    names: set[str] = set()
    for prefix, module in net.named_modules():
        if prefix.split(".")[0] == _BACKBONE:
            own = {name: parameter.requires_grad for name, parameter in module.named_parameters(recurse=False)}
            own |= {name: id(module) not in resting for name, _ in module.named_buffers(recurse=False)}
            names |= {f"{prefix}.{name}" for name, changes in own.items() if not changes}
    made = _made_shapes(net.description.name)  # type: ignore[union-attr]
    state = net.state_dict()
    return frozenset(name for name in names & state.keys() if made.get(name) == state[name].shape)


@cache
def _made_shapes(name: str) -> dict[str, torch.Size]:
    """Shapes of a network of timm as it is made without any options, by names in a network of ours."""
    with torch.device("meta"):
        state = timm.create_model(name, num_classes=0).state_dict()
    return {f"{_BACKBONE}.{entry}": value.shape for entry, value in state.items()}


def _is_still(module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return isinstance(module, NORMS) and bool(own) and not any(parameter.requires_grad for parameter in own)


def _chosen(net: ADDNet, kind: str, number: int) -> list[nn.Parameter]:
    """The parameters that a kind of tuning takes.

    Raises:
        UserError: There are none.
    """
    if kind == "head":
        return []
    if kind == "last":
        return _of_last(net, number)
    chosen = _norms(net.backbone) if kind == "norm" else _biases(net.backbone)
    if not chosen:
        what = {"norm": "normalisation layers that could be trained", "bias": "biases"}[kind]
        raise UserError(f"model.tune={kind}: {net.description.name} has no {what}; {_instead(net)}")
    return chosen


def _norms(backbone: nn.Module) -> list[nn.Parameter]:
    layers = (module for module in backbone.modules() if isinstance(module, NORMS))
    return [parameter for layer in layers for parameter in layer.parameters(recurse=False)]


def _biases(backbone: nn.Module) -> list[nn.Parameter]:
    return [parameter for name, parameter in backbone.named_parameters() if name.endswith("bias")]


def _of_last(net: ADDNet, number: int) -> list[nn.Parameter]:
    # without those of ADD blocks, which net.stages() has too
    stages = {name: own for name, _, own in parts_of(net.backbone, net.description.stages) if own}
    if number > len(stages):
        raise UserError(
            f"model.tune=last:{number}: {net.description.name} has {count(len(stages), 'stage')} with parameters "
            f"({', '.join(stages)}); use 1 to {len(stages)} for K, or model.tune=all"
        )
    return [parameter for own in list(stages.values())[-number:] for parameter in own]


def _put_lora(net: ADDNet, rank: int) -> list[nn.Parameter]:
    """Updates all linear layers of attention; returns what is new."""
    layers = list(attention_layers(net.backbone))
    if not layers:
        raise UserError(
            f"model.tune=lora:{rank}: {net.description.name} has no attention of linear layers; {_instead(net)}"
        )
    largest = min(min(layer.weight.shape) for _, _, layer in layers)
    if rank > largest:
        raise UserError(
            f"model.tune=lora:{rank}: linear layers of {net.description.name} have a rank of {largest}; use 1 to "
            f"{largest} for R"
        )
    added: list[nn.Parameter] = []
    for module, name, layer in layers:
        updated = LoRALinear(layer, rank)
        setattr(module, name, updated)
        added += [updated.lora_a, updated.lora_b]
    return added


def _instead(net: ADDNet) -> str:
    """What can be tuned of a network."""
    ways = {
        "all": True,
        "head": True,
        "norm": bool(_norms(net.backbone)),
        "bias": bool(_biases(net.backbone)),
        "last:1": True,
        "lora:8": any(True for _ in attention_layers(net.backbone)),
    }
    return f"use one of: {', '.join(f'model.tune={way}' for way, there in ways.items() if there)}"
