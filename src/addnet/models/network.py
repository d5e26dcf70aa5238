"""Any network of timm, with features weighted by a facial attention mask at chosen stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from addnet.errors import UserError, require_choice
from addnet.models.add_block import COMBINES, ADDBlock, pool_mask
from addnet.models.attend import ATTEND, AttendBlock, require_attention
from addnet.models.backbones import backbone_options, create_backbone
from addnet.models.bandpass import BandpassLayer
from addnet.models.heads import build_head
from addnet.models.recompute import recompute
from addnet.models.spans import parts_of
from addnet.models.stages import INPUT, Description, Stage
from addnet.models.timm_stages import describe
from addnet.models.tuning import Tuning, apply_tuning
from addnet.models.weights import load_backbone_weights

POOLS = ("adaptive", "chain")
FRONTS = ("none", "bandpass")
HEAD = "head"


class ADDNet(nn.Module):
    """A network of timm with ADD blocks after some of its stages, and optionally a bandpass layer in front of it.

    The backbone runs unmodified: hooks on the last module of each stage weight its output. The mask is stored in the
    network during a pass, so only one pass may run at a time. With a mask of ones and any `combine` but `residual`, and
    with `gate` before training, the features are those of the backbone alone.

    Shapes:
        image: (B, in_chans, H, W) float32 in [-1, 1]; rescaled internally if the start weights expect another mean or
            standard deviation.
        mask: (B, 1, H, W) in [0, 1]; may be None with `placement="none"`, which ignores it.
        returns: (B, num_classes) logits.

    Args:
        backbone: Name of a network in timm.
        num_classes: Size of the output; 0 returns pooled features.
        placement: `full` (the last stage of each resolution; for networks of equal blocks, the end of each quarter),
            `late` (the last of these), `none`, a stage or a list of stages; `addnet models` lists them.
        combine: How a mask acts on features: see `ADDBlock`; or `attend`: on the attention from each site in
            `placement` up to the end of the next stage, see `AttendBlock`.
        pool: `adaptive` shrinks the full mask to each stage; `chain` shrinks the mask from stage to stage, whether or
            not a stage has a block.
        drop_rate: Dropout before the classifier, in [0, 1).
        in_chans: Channels of the image.
        pretrained: Start from timm's weights, which are downloaded once.
        weights: Start from this file instead, regardless of `pretrained`: see `load_backbone_weights`.
        head: `linear`; `cosine`: class weights on L2-normalised features, or `cosine_bias`: see `CosineHead`.
        front: `none`, or `bandpass`: a `BandpassLayer`, whose options follow.
        kernel_size: Taps of each Gaussian of the bandpass layer: see `BandpassLayer`, also for the options up to
            `border`.
        learnable_sigmas: False freezes both sigmas.
        tune: Which part of the backbone is trained: `all`, `head`, `norm`, `bias`, `last:K` or `lora:R`; see
            `apply_tuning`.
        image_size: Side of the images in pixels, for backbones built for a fixed size, such as most transformers; None
            uses timm's size. The option `dynamic_img_size` allows other sizes later.
        options: Further arguments of the network in timm, such as `drop_path_rate`.
        description: Description of the backbone, if it is known.

    Raises:
        UserError: An option is invalid, or the weights can't be loaded.

    Example:
        >>> import torch
        >>> net = ADDNet("resnet10t", combine="gate").eval()
        >>> net.placement
        ('act1', 'layer1', 'layer2', 'layer3', 'layer4')
        >>> net(torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)).shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int = 2,
        *,
        placement: str | Iterable[str] = "full",
        combine: str = "multiply",
        pool: str = "adaptive",
        drop_rate: float = 0.5,
        in_chans: int = 3,
        pretrained: bool = False,
        weights: str | Path | None = None,
        head: str = "linear",
        front: str = "none",
        kernel_size: int = 31,
        sigma_low: float = 1.0,
        delta: float = 1.0,
        mode: str = "replace",
        border: str = "reflect",
        learnable_sigmas: bool = True,
        tune: str = "all",
        image_size: int | None = None,
        options: Mapping[str, Any] | None = None,
        description: Description | None = None,
    ) -> None:
        super().__init__()
        Tuning.of(tune)
        bandpass = None
        if require_choice("front", front, FRONTS) == "bandpass":
            bandpass = BandpassLayer(
                kernel_size, sigma_low=sigma_low, delta=delta, mode=mode, border=border, learnable=learnable_sigmas
            )
        self.in_chans = in_chans
        channels = bandpass.out_channels(in_chans) if bandpass else in_chans
        self.description = description or describe(backbone, options, in_chans=channels, image_size=image_size)
        self.placement = self.description.placed(placement)
        self.pool = require_choice("pool", pool, POOLS)
        if not 0 <= drop_rate < 1:
            raise UserError(f"drop_rate={drop_rate!r} is not a valid rate; use 0 <= drop_rate < 1.")
        self.grad_checkpointing = False
        self.combine = require_choice("combine", combine, (*COMBINES, ATTEND))
        self.add_blocks = nn.ModuleDict()  # before the backbone, so that their parameters come first; filled below
        made = backbone_options(backbone, options, image_size=image_size)
        self.backbone = create_backbone(backbone, made, in_chans=channels)
        load_backbone_weights(self.backbone, weights, pretrained=pretrained, name=backbone, options=made)
        self.num_features = self.description.num_features
        self.dropout = nn.Dropout(drop_rate)
        self.head_kind = head
        self.reset_classifier(num_classes)
        self.bandpass: nn.Module | None = bandpass
        self._mask: Tensor | None = None
        for site in self.placement:
            self._put_block(site)
        if pool == "chain" and self.placement:
            for site in self.description.sites:
                self._hook(site)
        self.tune = tune
        apply_tuning(self, tune)

    def reset_classifier(self, num_classes: int) -> None:
        """Replaces the classifier by a newly initialised one; with 0 classes the output is the pooled features."""
        if num_classes < 0:
            raise UserError(f"num_classes={num_classes!r} is negative; use 2, or 0 for pooled features.")
        self.num_classes = num_classes
        place = next(self.backbone.parameters())
        head = build_head(self.head_kind, self.num_features, num_classes)
        self.head: nn.Module = head.to(device=place.device, dtype=place.dtype)

    def get_classifier(self) -> nn.Module:
        """Returns the classifier: see `build_head`; an identity with 0 classes."""
        return self.head

    def sigma_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters of the sigmas, which get their own learning rate and no weight decay."""
        return list(self.bandpass.parameters()) if self.bandpass else []

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Stores only the input of each block in training, and recomputes the rest in the backward pass.

        Training takes about a third longer with a fraction of the memory; loss, gradients and statistics don't change.
        """
        self.grad_checkpointing = enable
        for module in self._blocks():
            recompute(module, enable, self._again)

    def stages(self) -> Iterator[tuple[str, tuple[nn.Module, ...], tuple[nn.Parameter, ...]]]:
        """Yields the name, modules and parameters of every stage, in the order in which the stages run.

        A stage of the backbone includes its ADD block; the bandpass layer comes first, the classifier last. Every
        parameter of the network is yielded exactly once.
        """
        if self.bandpass is not None:
            yield "bandpass", (self.bandpass,), tuple(self.bandpass.parameters())
        for name, modules, parameters in parts_of(self.backbone, self.description.stages):
            own = (self.block_at(name),) if name in self.placement else ()
            yield name, (*modules, *own), (*parameters, *(p for part in own for p in part.parameters()))
        yield HEAD, (self.dropout, self.head), tuple(self.head.parameters())

    def place(self, name: str, *, option: str = "block") -> tuple[nn.Module, Stage]:
        """Returns the module whose output is the features of a stage, weighted if an ADD block follows it.

        Args:
            name: Name of a stage, or of any module of the backbone that outputs maps.
            option: The option that gave the name, for messages.

        Returns:
            The module, and the stage that describes the form of its output.

        Raises:
            UserError: No stage or module has that name.
        """
        stages = {stage.name: stage for stage in self.description.stages if stage.module}
        if name not in stages and name and name in dict(self.backbone.named_modules()):
            return self.backbone.get_submodule(name), Stage(name, name)
        stage = stages[require_choice(option, name, stages)]
        return self.backbone.get_submodule(stage.module), stage

    def block_at(self, site: str) -> ADDBlock:
        """Returns the ADD block of a site in `placement`."""
        return cast("ADDBlock", self.add_blocks[_key(site)])

    def set_block(self, site: str, block: nn.Module) -> None:
        """Replaces the block of a site by any module that takes features and mask."""
        self.add_blocks[_key(site)] = block

    def forward_features(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the last features of the backbone, as timm's own `forward_features` does.

        Raises:
            UserError: The mask is required but missing, or doesn't have exactly one channel.
        """
        if self.placement:
            mask = _checked(mask, self.placement)
        image = self._rescaled(image)
        if self.bandpass is not None:
            dtype = next(self.backbone.parameters()).dtype  # half-precision weights without autocast
            image = self.bandpass(image).to(dtype)
        with self._with(mask if self.placement else None):
            return self._run(self._weighted(INPUT, image))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools features as the backbone does, and classifies them.

        Args:
            features: From `forward_features`.
            pre_logits: Return the pooled features after dropout, (B, num_features), as timm does.

        Returns:
            (B, num_classes) logits.
        """
        pooled: Tensor = self.dropout(self._pooled(features))
        if pre_logits:
            return pooled
        logits: Tensor = self.head(pooled)
        return logits

    def position_features(self, features: Tensor, mask: Tensor) -> Tensor:
        """Returns for each position the classifier's input if the whole image looked like that position; no dropout.

        With average pooling directly before the classifier, their mean is the actual input of the classifier.

        Args:
            features: From `forward_features`.
            mask: (B, 1, H, W); gives the aspect ratio of a grid of tokens.

        Returns:
            (B, num_features, h, w).
        """
        last = self.description.stages[-1]
        maps = last.maps(features, mask)
        height, width = maps.shape[-2:]
        return self._pooled(last.apart(maps)).reshape(len(maps), height, width, -1).permute(0, 3, 1, 2)

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the logits, (B, num_classes)."""
        return self.forward_head(self.forward_features(image, mask))

    def _run(self, image: Tensor) -> Tensor:
        return cast("Tensor", self.backbone.forward_features(image))  # type: ignore[operator]

    def _pooled(self, features: Tensor) -> Tensor:
        return cast("Tensor", self.backbone.forward_head(features))  # type: ignore[operator]

    def _blocks(self) -> Iterator[nn.Module]:
        """The units of gradient checkpointing: blocks, or the children of a stage that is a sequence."""
        for stage in self.description.stages:
            if stage.module:
                module = self.backbone.get_submodule(stage.module)
                parts = module.children() if isinstance(module, nn.Sequential) else (module,)
                yield from (part for part in parts if any(True for _ in part.parameters()))  # activations: no gain

    def _put_block(self, site: str) -> None:
        stage = self.description.stage(site)
        if self.combine == ATTEND:
            following, attention = require_attention(self.description, self.backbone, site)
            self.set_block(site, AttendBlock(prefix=following.prefix))
            for part, taken in attention:
                part.register_forward_pre_hook(_Reading(self, site, taken), with_kwargs=True)
            return
        self.set_block(site, ADDBlock(self.combine, channels=stage.channels, form=stage.form, prefix=stage.prefix))
        if self.pool == "adaptive":
            self._hook(site)

    def _hook(self, site: str) -> None:
        if module := self.description.stage(site).module:
            self.backbone.get_submodule(module).register_forward_hook(_StageWeighting(self, site))

    def _weighted(self, site: str, features: Tensor) -> Tensor:
        """The features at a site, weighted if the site has an ADD block that weights them."""
        if self._mask is None:
            return features
        if self.pool == "chain":
            self._mask = pool_mask(self._mask, self.description.stage(site).grid(features, self._mask))
        weights = site in self.placement and self.combine != ATTEND
        return self.block_at(site)(features, self._mask) if weights else features

    def _again(self) -> AbstractContextManager[None]:
        """Restores the current mask around recomputation in the backward pass, after the forward pass has ended."""
        return self._with(self._mask)

    @contextmanager
    def _with(self, mask: Tensor | None) -> Iterator[None]:
        before, self._mask = self._mask, mask
        try:
            yield
        finally:
            self._mask = before

    def _rescaled(self, image: Tensor) -> Tensor:
        """Rescales images from [-1, 1] to the mean and standard deviation that the start weights expect."""
        mean, std = self.description.mean, self.description.std
        if set(mean) | set(std) == {0.5} or len(mean) != self.in_chans:
            return image
        scale = image.new_tensor([0.5 / deviation for deviation in std])[:, None, None]
        shift = image.new_tensor([(0.5 - at) / deviation for at, deviation in zip(mean, std, strict=True)])
        return image * scale + shift[:, None, None]


class _StageWeighting:
    """Hook that weights a stage's output by the mask of the current pass; an object, so that networks can be copied."""

    def __init__(self, net: ADDNet, site: str) -> None:
        self.net, self.site = net, site

    def __call__(self, module: nn.Module, inputs: object, output: Any) -> Any:
        stage = self.net.description.stage(self.site)
        return stage.put(output, self.net._weighted(self.site, stage.taken(output)))


class _Reading:
    """Hook that adds a block's bias to the attention logits of its stage during a pass."""

    def __init__(self, net: ADDNet, site: str, argument: str) -> None:
        self.net, self.site, self.argument = net, site, argument

    def __call__(
        self, module: nn.Module, inputs: tuple[Any, ...], given: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        mask = self.net._mask
        if mask is None:
            return inputs, given
        bias, own = self.net.block_at(self.site)(inputs[0], mask), given.get(self.argument)
        return inputs, {**given, self.argument: bias if own is None else own + bias}


def _key(site: str) -> str:
    """The key of a site in a `ModuleDict`, which allows no dots."""
    return site.replace(".", "_")


def _checked(mask: Tensor | None, placement: tuple[str, ...]) -> Tensor:
    if mask is None:
        raise UserError(f"A mask is required at {', '.join(placement)}; pass one, or use model.placement=none.")
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise UserError(f"A mask of shape {tuple(mask.shape)} was given; expected (B, 1, H, W).")
    return mask
