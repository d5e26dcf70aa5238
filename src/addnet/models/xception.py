"""ADDNet-2D on Xception, plain and with a learnable bandpass layer in front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor, nn

from addnet.models.network import ADDNet
from addnet.models.recompute import recomputed
from addnet.models.stages import INPUT, MAPS, Description, Stage

XCEPTION = Description(
    name="legacy_xception",
    stages=(
        Stage(INPUT, "", MAPS, 3, 1),
        Stage("stem", "act2", MAPS, 64, 2),
        Stage("block1", "block1", MAPS, 128, 4),
        Stage("block2", "block2", MAPS, 256, 8),
        Stage("block3", "block3", MAPS, 728, 16),
        Stage("middle", "block11", MAPS, 728, 16),
        Stage("block12", "block12", MAPS, 1024, 32),
        Stage("tail", "act4", MAPS, 2048, 32, site=False),
    ),
    num_features=2048,
    placements={
        "full": ("block1", "block2", "block3", "middle", "block12"),
        "paper": (INPUT, "stem", "block1", "block2", "block3"),
        "none": (),
    },
    explained="block12",
    side=299,
)
# segments of gradient checkpointing; single modules run by themselves, since hooks weight their output
_SEGMENTS = (
    ("conv1", "bn1", "act1", "conv2", "bn2"),
    ("act2",),
    *((f"block{number}",) for number in range(1, 13)),
    ("conv3", "bn3", "act3", "conv4", "bn4"),
    ("act4",),
)


class ADDNet2D_Xception(ADDNet):
    """Xception whose feature maps are weighted by a facial attention mask at several depths.

    The backbone is timm's `legacy_xception`; an `ADDBlock` follows each chosen stage. timm ignores the backbone's own
    `drop_rate`, so this network has its own dropout and classifier. With a mask of ones and `multiply` or `mix` the
    features are those of plain Xception. Zi et al. 2020, arXiv 2101.01456, section 4.

    Shapes:
        image: (B, in_chans, H, W) float32 in [-1, 1]; any H and W of at least 32; the ImageNet weights used 299.
        mask: (B, 1, H, W) in [0, 1]; may be None with `placement="none"`, which ignores it.
        returns: (B, num_classes) logits.

    Args:
        num_classes: Size of the output; 0 returns pooled features (B, 2048).
        placement: `full` (block1, block2, block3, middle, block12), `paper` (input, stem, block1, block2, block3, as
            drawn in the authors' figures), `none` (plain Xception), a site or a list of sites. `stem` is the activation
            of the second convolution, `middle` the end of block 11.
        combine: How a mask acts on features: see `ADDBlock`.
        pool: `adaptive` shrinks the full mask to each stage; `chain` shrinks the mask from site to site, as in the
            authors' figure, whether or not a site has a block.
        drop_rate: Dropout before the classifier, in [0, 1).
        in_chans: Channels of the image.
        pretrained: Start from timm's ImageNet weights, which are downloaded once.
        weights: Start from this file instead, regardless of `pretrained`: see `load_backbone_weights`.
        tune: Which part of the backbone is trained: see `apply_tuning`.
        head: `linear`; `cosine`: class weights on L2-normalised features, or `cosine_bias`: see `CosineHead`.

    Raises:
        UserError: An option is invalid, or the weights can't be loaded.

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
        tune: str = "all",
        head: str = "linear",
    ) -> None:
        super().__init__(
            XCEPTION.name,
            num_classes,
            placement=placement,
            combine=combine,
            pool=pool,
            drop_rate=drop_rate,
            in_chans=in_chans,
            pretrained=pretrained,
            weights=weights,
            tune=tune,
            head=head,
            description=XCEPTION,
        )

    def _blocks(self) -> Iterator[nn.Module]:
        return (self.backbone.get_submodule(f"block{number}") for number in range(1, 13))  # `_run` handles the rest

    def _run(self, image: Tensor) -> Tensor:
        if not (self.grad_checkpointing and self.training):
            return super()._run(image)
        features = image
        for names in _SEGMENTS:
            layers = [getattr(self.backbone, name) for name in names]
            features = layers[0](features) if len(layers) == 1 else recomputed(layers, features)
        return features

    def _pooled(self, features: Tensor) -> Tensor:
        return features.mean(dim=(2, 3))


class ADDNet2D_Xception_Bandpass(ADDNet2D_Xception):
    """ADDNet-2D on a frequency band of the image: a `BandpassLayer` in front of the same network.

    With `mode="concat"` the stem has twice the input channels; start weights are repeated and halved, so that the
    stem's output is unchanged where image and band are equal. The site `input` comes after the bandpass layer.

    Shapes:
        image: (B, in_chans, H, W) float32 in [-1, 1].
        mask: (B, 1, H, W) in [0, 1]; may be None with `placement="none"`.
        returns: (B, num_classes) logits.

    Args:
        num_classes: Size of the output; see `ADDNet2D_Xception`, also for the options up to `head`.
        in_chans: Channels of the image, before the bandpass layer.
        kernel_size: Taps of each Gaussian; see `BandpassLayer`, also for the options up to `border`.
        learnable_sigmas: False freezes both sigmas.

    Raises:
        UserError: An option is invalid, or the weights can't be loaded.

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
        tune: str = "all",
        head: str = "linear",
        kernel_size: int = 31,
        sigma_low: float = 1.0,
        delta: float = 1.0,
        mode: str = "replace",
        border: str = "reflect",
        learnable_sigmas: bool = True,
    ) -> None:
        ADDNet.__init__(
            self,
            XCEPTION.name,
            num_classes,
            placement=placement,
            combine=combine,
            pool=pool,
            drop_rate=drop_rate,
            in_chans=in_chans,
            pretrained=pretrained,
            weights=weights,
            tune=tune,
            head=head,
            front="bandpass",
            kernel_size=kernel_size,
            sigma_low=sigma_low,
            delta=delta,
            mode=mode,
            border=border,
            learnable_sigmas=learnable_sigmas,
            description=XCEPTION,
        )
