"""Non-persistent buffers of networks that were created on the meta device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn


def fill_buffers(net: nn.Module) -> bool:
    """Computes the non-persistent buffers of a network that was created on the meta device, as timm does.

    Tables of relative positions, rotary embeddings and the like follow from options, so state dicts omit them; on the
    meta device they have no values.

    Args:
        net: A network whose weights have been assigned.

    Returns:
        Whether all buffers were filled. If not, a module doesn't say how its buffers are computed, and the network has
        to be rebuilt.
    """
    modules = list(_empty(net))
    if not all(hasattr(module, "init_non_persistent_buffers") for module in modules):
        return False
    for module in modules:
        for name in module._non_persistent_buffers_set:
            buffer = module._buffers[name]
            if buffer is not None and buffer.is_meta:
                module._buffers[name] = torch.empty_like(buffer, device="cpu")
    for module in modules:
        module.init_non_persistent_buffers()  # type: ignore[operator]
    return not any(True for _ in _empty(net))


def _empty(net: nn.Module) -> Iterator[nn.Module]:
    for module in net.modules():
        buffers = (module._buffers[name] for name in module._non_persistent_buffers_set)
        if any(buffer is not None and buffer.is_meta for buffer in buffers):
            yield module
