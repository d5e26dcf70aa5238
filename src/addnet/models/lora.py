"""Low-rank updates of linear layers, under the plain names of these layers (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import cast

from torch import Tensor, nn

_A, _B = "lora_a", "lora_b"


class LoRALinear(nn.Linear):
    """A linear layer whose weight is W + B·A, where only A and B are trained and B starts at 0.

    `weight` returns the sum, for networks that read it directly (EVA, BEiT); the state dict stores W as `weight`. The
    paper's factor alpha / R is 1: alpha = R.

    Shapes:
        lora_a: (R, in_features).
        lora_b: (out_features, R).

    Args:
        layer: The layer to update; its parameters are reused.
        rank: R.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._parameters["weight"] = cast("nn.Parameter", layer.weight)  # not by attribute, which is the sum
        self.register_parameter("bias", layer.bias)
        self.lora_a = nn.Parameter(layer.weight.new_empty(rank, self.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(self.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The updated weight W + B·A, (out_features, in_features)."""
        stored = self._parameters["weight"]
        assert stored is not None
        return stored + self.lora_b @ self.lora_a

    def merged(self) -> nn.Linear:
        """Returns an equivalent plain layer."""
        layer = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        layer.weight = nn.Parameter(self.weight.detach(), requires_grad=self.lora_a.requires_grad)
        layer.bias = self.bias
        return layer.train(self.training)


def attention_layers(backbone: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Yields the linear layers of attention: queries, keys, values, output.

    Args:
        backbone: A network whose attention modules are recognisable by the names of their classes, as in timm.

    Yields:
        The attention module, the name of the layer in it, and the layer.
    """
    for module in list(backbone.modules()):
        if any(word in type(module).__name__.lower() for word in ("attention", "attn")):
            for name, layer in module.named_children():
                if type(layer) is nn.Linear:
                    yield module, name, layer


def merge_lora(net: nn.Module) -> None:
    """Replaces every `LoRALinear` by an equivalent plain layer."""
    for module in list(net.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, LoRALinear):
                setattr(module, name, layer.merged())


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the state dict of the merged network: each low-rank update is added to its weight."""
    plain = {name: value for name, value in state.items() if name.rpartition(".")[2] not in (_A, _B)}
    for name in state:
        layer, _, last = name.rpartition(".")
        if last == _A and f"{layer}.{_B}" in state and f"{layer}.weight" in state:
            plain[f"{layer}.weight"] = state[f"{layer}.weight"] + state[f"{layer}.{_B}"] @ state[name]
    return plain
