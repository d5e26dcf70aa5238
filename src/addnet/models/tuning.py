"""Which part of a network is trained: all, head, normalisation, biases, last stages or low-rank updates."""

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
_BACKBONE = "backbone"  # the part of a network that may be frozen
# normalisation layers of torch and timm; subclasses are included
NORMS: tuple[type[nn.Module], ...] = (
    *(_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
    *(RmsNorm, RmsNorm2d, SimpleNorm, SimpleNorm2d, GlobalResponseNorm, InplaceAbn),
    *(EvoNorm2dB0, EvoNorm2dB1, EvoNorm2dB2, EvoNorm2dS0, EvoNorm2dS1, EvoNorm2dS2),
    *(FilterResponseNormAct2d, FilterResponseNormTlu2d),
)


class Tuning(NamedTuple):
    """The value of `model.tune`.

    Attributes:
        kind: `all`, `head`, `norm`, `bias`, `last` or `lora`.
        number: K of `last:K`, R of `lora:R`; otherwise 0.
    """

    kind: str
    number: int = 0

    @classmethod
    def of(cls, tune: object) -> Tuning:
        """Parses `model.tune`.

        Raises:
            UserError: The value is not valid.

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
    """Makes a part of the backbone trainable; head, bandpass sigmas and ADD blocks, which are new, are always trained.

    Args:
        net: A network with its start weights; `lora:R` adds parameters to it.
        tune: Which part of the backbone is trained: `all`; `head`: nothing; `norm`: weights and biases of normalisation
            layers of any type; `bias`: every bias, including those of normalisation (Ben Zaken et al. 2022, arXiv
            2106.10199); `last:K`: the last K stages that have parameters, in the order of `net.stages()`, where
            everything after the last block counts as one stage; `lora:R`: updates of rank R of the linear layers of
            attention.

    Raises:
        UserError: The value is not valid, or the backbone has no such part.
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
        parameter.requires_grad_(id(parameter) in learning)  # what timm keeps frozen stays frozen


def merge_tuned(net: nn.Module) -> None:
    """Converts a tuned network to an equivalent plain one, with the weights and names of `tune=all`."""
    merge_lora(net)
    if hasattr(net, "tune"):
        net.tune = ALL  # type: ignore[assignment]


def at_rest(net: nn.Module) -> list[nn.Module]:
    """Returns the modules of a backbone that stay in evaluation mode while the rest is trained.

    These are stages without trainable parameters and, in other stages, normalisation layers whose own parameters are
    frozen: running statistics are updated only in layers that are trained.
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
    """Returns the names in a network's state dict of parameters and statistics that training leaves at start values.

    Entries that were computed from the start weights, such as resampled position embeddings, are excluded: other
    machines may round them differently.
    """
    if getattr(net, "tune", ALL) == ALL:
        return frozenset()
    resting = {id(part) for module in at_rest(net) for part in module.modules()}
    names: set[str] = set()
    for prefix, module in net.named_modules():
        if prefix.split(".")[0] == _BACKBONE:
            # name → whether training changes it
            own = {name: parameter.requires_grad for name, parameter in module.named_parameters(recurse=False)}
            own |= {name: id(module) not in resting for name, _ in module.named_buffers(recurse=False)}
            names |= {f"{prefix}.{name}" for name, changes in own.items() if not changes}
    made = _made_shapes(net.description.name)  # type: ignore[union-attr]
    state = net.state_dict()
    return frozenset(name for name in names & state.keys() if made.get(name) == state[name].shape)


@cache
def _made_shapes(name: str) -> dict[str, torch.Size]:
    """Shapes of the state dict of a network of timm built without options, by the names in an `ADDNet`."""
    with torch.device("meta"):
        state = timm.create_model(name, num_classes=0).state_dict()
    return {f"{_BACKBONE}.{entry}": value.shape for entry, value in state.items()}


def _is_still(module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return isinstance(module, NORMS) and bool(own) and not any(parameter.requires_grad for parameter in own)


def _chosen(net: ADDNet, kind: str, number: int) -> list[nn.Parameter]:
    """The parameters that a kind of tuning trains.

    Raises:
        UserError: The backbone has none of that kind.
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
    # not net.stages(), which includes the ADD blocks
    stages = {name: own for name, _, own in parts_of(net.backbone, net.description.stages) if own}
    if number > len(stages):
        raise UserError(
            f"model.tune=last:{number}: {net.description.name} has {count(len(stages), 'stage')} with parameters "
            f"({', '.join(stages)}); use 1 to {len(stages)} for K, or model.tune=all"
        )
    return [parameter for own in list(stages.values())[-number:] for parameter in own]


def _put_lora(net: ADDNet, rank: int) -> list[nn.Parameter]:
    """Adds low-rank updates to all linear layers of attention; returns the new parameters."""
    layers = list(attention_layers(net.backbone))
    if not layers:
        raise UserError(
            f"model.tune=lora:{rank}: {net.description.name} has no attention with linear layers; {_instead(net)}"
        )
    largest = min(min(layer.weight.shape) for _, _, layer in layers)
    if rank > largest:
        raise UserError(
            f"model.tune=lora:{rank}: the linear layers of {net.description.name} have rank {largest} at most; use 1 "
            f"to {largest} for R"
        )
    added: list[nn.Parameter] = []
    for module, name, layer in layers:
        updated = LoRALinear(layer, rank)
        setattr(module, name, updated)
        added += [updated.lora_a, updated.lora_b]
    return added


def _instead(net: ADDNet) -> str:
    """The values of `model.tune` that are possible for a network, as a remedy."""
    ways = {
        "all": True,
        "head": True,
        "norm": bool(_norms(net.backbone)),
        "bias": bool(_biases(net.backbone)),
        "last:1": True,
        "lora:8": any(True for _ in attention_layers(net.backbone)),
    }
    return f"use one of: {', '.join(f'model.tune={way}' for way, there in ways.items() if there)}"
