"""Describes a network: its stages in order, where attention may act, and which images its weights expect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from addnet.errors import UserError, require_choice

if TYPE_CHECKING:
    from torch import Tensor

MAPS, CHANNELS_LAST, TOKENS = "maps", "channels_last", "tokens"
INPUT = "input"


@dataclass(frozen=True)
class Stage:
    """A part of a backbone, identified by the module whose output is the output of the stage.

    Attributes:
        name: The name that users write in `placement` and `block`.
        module: Name of that module in the backbone; empty for the image itself.
        form: Form of its output: `maps` (B, C, h, w), `channels_last` (B, h, w, C) or `tokens` (B, N, C).
        channels: C.
        reduction: Side of the image over the side of the features.
        prefix: Number of tokens before the patch tokens: class token, registers.
        site: Whether an ADD block may follow.
        part: Index of the features in the module's output if that is a sequence; None: the output is the features.
    """

    name: str
    module: str
    form: str = MAPS
    channels: int = 0
    reduction: int = 1
    prefix: int = 0
    site: bool = True
    part: int | None = None

    def taken(self, output: Any) -> Tensor:
        """Returns the features in the module's output."""
        features: Tensor = output if self.part is None else output[self.part]
        return features

    def put(self, output: Any, features: Tensor) -> Any:
        """Returns the module's output with its features replaced."""
        if self.part is None:
            return features
        return type(output)([*output[: self.part], features, *output[self.part + 1 :]])

    def grid(self, features: Tensor, mask: Tensor) -> tuple[int, int]:
        """Returns height and width of the stage's features; for tokens, of the grid of patches."""
        if self.form == TOKENS:
            return grid_of(features.shape[1] - self.prefix, mask)
        height, width = features.shape[1:3] if self.form == CHANNELS_LAST else features.shape[-2:]
        return height, width

    def maps(self, features: Tensor, image: Tensor) -> Tensor:
        """Returns the stage's features as (B, C, h, w), for tokens only the patches; `image` gives the aspect ratio."""
        if self.form == MAPS:
            return features
        height, width = self.grid(features, image)
        patches = features[:, self.prefix :] if self.form == TOKENS else features
        return patches.reshape(len(features), height, width, -1).permute(0, 3, 1, 2)

    def apart(self, maps: Tensor) -> Tensor:
        """Returns each position of maps (B, C, h, w) as separate features in the form of the stage, a batch of B·h·w.

        In `tokens`, the tokens before the patch are 0.
        """
        rows = maps.permute(0, 2, 3, 1).flatten(0, 2)
        if self.form == MAPS:
            return rows[:, :, None, None]
        if self.form == CHANNELS_LAST:
            return rows[:, None, None]
        tokens = rows.new_zeros(len(rows), self.prefix + 1, rows.shape[1])
        tokens[:, self.prefix] = rows
        return tokens


@dataclass(frozen=True)
class Description:
    """Everything that other modules need to know about a backbone.

    Attributes:
        name: Name of the backbone in timm.
        stages: The stages in the order in which they run; the first is the image itself, the last outputs the features.
        num_features: Channels of the pooled features.
        placements: Named choices of sites.
        explained: The default stage for Grad-CAM.
        mean: Mean of the images that its start weights were trained on, per channel, in [0, 1].
        std: Standard deviation of these images, per channel.
        side: Height and width of these images in pixels.
        lacking: Why no stage can be followed by attention; empty if some can.
    """

    name: str
    stages: tuple[Stage, ...]
    num_features: int
    placements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    explained: str = ""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    side: int = 224
    lacking: str = ""

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the stages that an ADD block may follow."""
        return tuple(stage.name for stage in self.stages if stage.site)

    def stage(self, name: str, *, option: str = "stage") -> Stage:
        """Returns the stage with a name.

        Raises:
            UserError: No stage has that name; the message calls it `option`.
        """
        names = [stage.name for stage in self.stages]
        return self.stages[names.index(require_choice(option, name, names))]

    def placed(self, placement: str | Iterable[str]) -> tuple[str, ...]:
        """Returns the sites of a named choice, a single site or a list of sites, in the order of the stages.

        Raises:
            UserError: A name is unknown or given twice.
        """
        try:
            return self._placed(placement)
        except UserError as error:
            if not self.lacking:
                raise
            raise UserError(
                f"{error} No stage of model.backbone={self.name} can be followed by attention: {self.lacking}; use "
                "model.placement=none, or another backbone."
            ) from None

    def _placed(self, placement: str | Iterable[str]) -> tuple[str, ...]:
        if isinstance(placement, str):
            require_choice("placement", placement, [*self.placements, *self.sites])
            return self.placements.get(placement, (placement,))
        if not isinstance(placement, Iterable):
            raise UserError(
                f"placement={placement!r} is not valid; use {', '.join(self.placements)}, a site or a list of sites."
            )
        chosen = [require_choice("placement", site, self.sites) for site in placement]
        if len(set(chosen)) < len(chosen):
            raise UserError(f"placement={chosen} names a site twice; use each of {', '.join(self.sites)} at most once.")
        return tuple(site for site in self.sites if site in chosen)


def grid_of(tokens: int, mask: Tensor) -> tuple[int, int]:
    """Returns height and width of a grid of this many patches with the aspect ratio of the mask.

    Raises:
        UserError: No such grid has this many patches, for example because some are dropped in training.
    """
    height, width = mask.shape[-2:]
    rows = max(1, round((tokens * height / width) ** 0.5))
    if tokens % rows:
        raise UserError(
            f"{tokens} patches of an image of {height} × {width} pixels form no grid, so a mask can't weight them; "
            "disable patch dropout (++model.options.patch_drop_rate=0), or use model.placement=none"
        )
    return rows, tokens // rows
