"""Batch normalisation over all processes, including the layers of timm."""

from __future__ import annotations

from pytorch_lightning.plugins.layer_sync import TorchSyncBatchNorm
from timm.layers import convert_sync_batchnorm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class SyncBatchNorm(TorchSyncBatchNorm):
    """Implements `trainer.sync_batchnorm=true` for any network of timm.

    torch's own conversion, which Lightning 2.6.6 uses, loses the activation of timm's layers that normalise and then
    activate, and the hooks on any layer. After training, the original layer objects are put back.

    Args:
        enabled: Whether to convert layers; False changes nothing.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._before: dict[nn.Module, nn.Module] = {}

    def apply(self, model: nn.Module) -> nn.Module:
        """Replaces layers by synchronised ones with the same parameters, statistics, hooks and mode."""
        if self.enabled:
            for module in list(model.modules()):
                for name, layer in list(module.named_children()):
                    if isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm):
                        setattr(module, name, self._converted(layer))
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Puts the original layers back, with their trained parameters and statistics."""
        for module in list(model.modules()):
            for name, layer in list(module.named_children()):
                if (before := self._before.pop(layer, None)) is not None:
                    before._parameters.update(layer._parameters)
                    before._buffers.update(layer._buffers)
                    setattr(module, name, before.train(layer.training))
        return model

    def _converted(self, layer: nn.Module) -> nn.Module:
        converted: nn.Module = convert_sync_batchnorm(layer)  # type: ignore[no-untyped-call]
        converted._forward_hooks = layer._forward_hooks
        self._before[converted] = layer
        return converted
