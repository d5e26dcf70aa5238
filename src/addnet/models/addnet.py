"""ADDNet-2D on Xception, plain and with a learnable bandpass layer in front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import timm
from torch import Tensor, nn

from addnet.errors import UserError, require_choice
from addnet.models.add_block import ADDBlock, pool_mask
from addnet.models.bandpass import BandpassLayer
from addnet.models.placement import SITES, resolve_placement
from addnet.models.recompute import recomputed
from addnet.models.weights import BACKBONE, load_backbone_weights

POOLS = ("adaptive", "chain")

# timm's layers in the order they run; an ADD block may follow every stage but the tail
_LAYERS: dict[str, tuple[str, ...]] = {
    "input": (),
    "stem": ("conv1", "bn1", "act1", "conv2", "bn2", "act2"),
    "block1": ("block1",),
    "block2": ("block2",),
    "block3": ("block3",),
    "middle": tuple(f"block{number}" for number in range(4, 12)),
    "block12": ("block12",),
    "tail": ("conv3", "bn3", "act3", "conv4", "bn4", "act4"),
}


class ADDNet2D_Xception(nn.Module):
    """Xception whose feature maps are weighted by a facial attention mask at several depths.

    The backbone is timm's `legacy_xception`, run stage by stage; after each chosen stage stands an
    `ADDBlock`. Its `drop_rate` has no effect in timm, so dropout and classifier are this network's own. With
    a mask of ones and `multiply` or `mix` the features are those of plain Xception. Zi et al. 2020, arXiv
    2101.01456, section 4.

    Shapes:
        image: (B, in_chans, H, W) float32 in [-1, 1]; any H and W of at least 32, 299 is what ImageNet used.
        mask: (B, 1, H, W) in [0, 1]; may be None with `placement="none"`, which does not touch it.
        returns: (B, num_classes) logits.

    Args:
        num_classes: Size of the output; 0 gives pooled features (B, 2048).
        placement: `full` (block1, block2, block3, middle, block12), `paper` (input, stem, block1, block2,
            block3: what the authors' figures draw), `none` (plain Xception), one of `SITES` or a list of
            them. `stem` is the activation of the second convolution, `middle` the end of block 11.
        combine: How a mask acts on features: see `ADDBlock`.
        pool: `adaptive` shrinks the full mask to each stage; `chain` shrinks each stage's mask from the one
            of the stage before, as in the authors' figure, over all `SITES` whether a block stands there or
            not.
        drop_rate: Dropout before the classifier, in [0, 1).
        in_chans: Channels of the image.
        pretrained: Start from timm's ImageNet weights, which are fetched once.
        weights: Start from this file instead, whatever `pretrained` says: see `load_backbone_weights`.

    Raises:
        UserError: An option lies outside these values, or the weights can't be had.

    Example:
        >>> import torch
        >>> net = ADDNet2D_Xception(placement="paper").eval()
        >>> net(torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)).shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        num_classes: int = 2,
        *,
        placement: str | Iterable[str] = "full",
        combine: str = "multiply",
        pool: str = "adaptive",
        drop_rate: float = 0.5,
        in_chans: int = 3,
        pretrained: bool = False,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.placement = resolve_placement(placement)
        self.pool = require_choice("pool", pool, POOLS)
        self.in_chans = in_chans
        if not 0 <= drop_rate < 1:
            raise UserError(f"drop_rate={drop_rate!r} is no rate; use 0 <= drop_rate < 1.")
        self.grad_checkpointing = False
        self.add_blocks = nn.ModuleDict({site: ADDBlock(combine) for site in self.placement})
        self.backbone: nn.Module = timm.create_model(BACKBONE, num_classes=0, in_chans=in_chans)
        load_backbone_weights(self.backbone, weights, pretrained=pretrained)
        self.num_features: int = 2048
        self.dropout = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int) -> None:
        """Replaces the classifier by a fresh one; 0 classes leave the pooled features as output."""
        if num_classes < 0:
            raise UserError(f"num_classes={num_classes!r} is negative; use 2, or 0 for features.")
        self.num_classes = num_classes
        place = next(self.backbone.parameters())
        self.head: nn.Module = nn.Identity()
        if num_classes:
            self.head = nn.Linear(self.num_features, num_classes, device=place.device, dtype=place.dtype)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keeps the input of each stage and block in training, and computes the rest again in the backward pass.

        About a third more time for a fraction of the memory; loss, gradients and statistics are the same.
        """
        self.grad_checkpointing = enable

    def get_classifier(self) -> nn.Module:
        """Returns the classifier: a linear layer, or an identity with 0 classes."""
        return self.head

    def stages(self) -> Iterator[tuple[str, tuple[nn.Module, ...]]]:
        """Yields name and modules of every stage in the order they run, ADD blocks and head included."""
        for stage in _LAYERS:
            block = (self.add_blocks[stage],) if stage in self.add_blocks else ()
            yield stage, (*self._layers(stage), *block)
        yield "head", (self.dropout, self.head)

    def forward_features(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the last feature maps, (B, 2048, h, w).

        Raises:
            UserError: A mask is needed and missing, or is not of one channel.
        """
        features = image
        if self.placement:
            mask = _checked(mask, self.placement)
        for stage in _LAYERS:
            for segment in self._segments(stage):
                features = self._run(segment, features)
            if mask is not None and self.pool == "chain" and self.placement and stage in SITES:
                mask = pool_mask(mask, (features.shape[-2], features.shape[-1]))
            if stage in self.add_blocks:
                features = self.add_blocks[stage](features, mask)
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Averages feature maps over the picture and classifies them.

        Args:
            features: (B, 2048, h, w), from `forward_features`.
            pre_logits: Return the averaged features after dropout, (B, 2048), as timm does.

        Returns:
            (B, num_classes) logits.
        """
        pooled: Tensor = self.dropout(features.mean(dim=(2, 3)))
        if pre_logits:
            return pooled
        logits: Tensor = self.head(pooled)
        return logits

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the logits, (B, num_classes)."""
        return self.forward_head(self.forward_features(image, mask))

    def _run(self, layers: tuple[nn.Module, ...], features: Tensor) -> Tensor:
        if self.grad_checkpointing and self.training:
            return recomputed(layers, features)
        for layer in layers:
            features = layer(features)
        return features

    def _segments(self, stage: str) -> list[tuple[nn.Module, ...]]:
        """What gradient checkpointing computes again together: a stage, or one block of the many in the middle."""
        layers = self._layers(stage)
        return [(layer,) for layer in layers] if stage == "middle" else [layers] if layers else []

    def _layers(self, stage: str) -> tuple[nn.Module, ...]:
        # looked up on each call: SyncBatchNorm conversion and pruning replace modules
        return tuple(getattr(self.backbone, name) for name in _LAYERS[stage])


class ADDNet2D_Xception_Bandpass(ADDNet2D_Xception):
    """ADDNet-2D on a frequency band of the picture: a `BandpassLayer` in front of the same network.

    With `mode="concat"` the stem has twice the input channels; start weights are repeated and halved, so that
    the stem answers as before where picture and band are equal. The site `input` lies behind the bandpass
    layer.

    Shapes:
        image: (B, in_chans, H, W) float32 in [-1, 1].
        mask: (B, 1, H, W) in [0, 1]; may be None with `placement="none"`.
        returns: (B, num_classes) logits.

    Args:
        num_classes: As all options up to `weights`: see `ADDNet2D_Xception`.
        in_chans: Channels of the image, before the bandpass layer.
        kernel_size: As the options from here on: see `BandpassLayer`.
        learnable_sigmas: False freezes both widths.

    Raises:
        UserError: An option lies outside these values, or the weights can't be had.

    Example:
        >>> import torch
        >>> net = ADDNet2D_Xception_Bandpass(mode="concat").eval()
        >>> net(torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)).shape
        torch.Size([1, 2])
        >>> [name for name, _ in net.named_parameters() if name.startswith("bandpass")]
        ['bandpass.raw_sigma_low', 'bandpass.raw_delta']
    """

    def __init__(
        self,
        num_classes: int = 2,
        *,
        placement: str | Iterable[str] = "full",
        combine: str = "multiply",
        pool: str = "adaptive",
        drop_rate: float = 0.5,
        in_chans: int = 3,
        pretrained: bool = False,
        weights: str | Path | None = None,
        kernel_size: int = 31,
        sigma_low: float = 1.0,
        delta: float = 1.0,
        mode: str = "replace",
        border: str = "reflect",
        learnable_sigmas: bool = True,
    ) -> None:
        bandpass = BandpassLayer(
            kernel_size,
            sigma_low=sigma_low,
            delta=delta,
            mode=mode,
            border=border,
            learnable=learnable_sigmas,
        )
        super().__init__(
            num_classes,
            placement=placement,
            combine=combine,
            pool=pool,
            drop_rate=drop_rate,
            in_chans=bandpass.out_channels(in_chans),
            pretrained=pretrained,
            weights=weights,
        )
        self.in_chans = in_chans
        self.bandpass = bandpass

    def sigma_parameters(self) -> list[nn.Parameter]:
        """Returns the two parameters behind the sigmas, for their own learning rate and no weight decay."""
        return list(self.bandpass.parameters())

    def stages(self) -> Iterator[tuple[str, tuple[nn.Module, ...]]]:
        """Yields the stages of the network, the bandpass layer first."""
        yield "bandpass", (self.bandpass,)
        yield from super().stages()

    def forward_features(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the last feature maps, (B, 2048, h, w)."""
        filtered: Tensor = self.bandpass(image)
        dtype = next(self.backbone.parameters()).dtype  # half-precision weights without autocast
        return super().forward_features(filtered.to(dtype), mask)


def _checked(mask: Tensor | None, placement: tuple[str, ...]) -> Tensor:
    if mask is None:
        raise UserError(f"A mask is needed at {', '.join(placement)}; pass one, or use model.placement=none.")
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise UserError(f"A mask of shape {tuple(mask.shape)} was given; expected (B, 1, H, W).")
    return mask
