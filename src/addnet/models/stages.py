"""What a network says of itself: its stages in order, where attention may act, and what its weights expect."""

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
    """A part of a backbone that runs as one, named by the module whose output ends it.

    Attributes:
        name: As users write it, in `placement` and `block`.
        module: Name of that module in the backbone; empty for the image itself.
        form: Of its output: `maps` (B, C, h, w), `channels_last` (B, h, w, C) or `tokens` (B, N, C).
        channels: C.
        reduction: Sides of the image over those of the features.
        prefix: Tokens that stand before those of patches: class token, registers.
        site: Whether an ADD block may follow.
        part: Which of the parts of that module's output, where it gives several; None: it gives one.
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
        """The features in what the module gives."""
        features: Tensor = output if self.part is None else output[self.part]
        return features

    def put(self, output: Any, features: Tensor) -> Any:
        """What the module gives, with other features."""
        if self.part is None:
            return features
        return type(output)([*output[: self.part], features, *output[self.part + 1 :]])

    def grid(self, features: Tensor, mask: Tensor) -> tuple[int, int]:
        """Height and width of the features behind the stage; of tokens those of their patches."""
        if self.form == TOKENS:
            return grid_of(features.shape[1] - self.prefix, mask)
        height, width = features.shape[1:3] if self.form == CHANNELS_LAST else features.shape[-2:]
        return height, width

    def maps(self, features: Tensor, image: Tensor) -> Tensor:
        """Features behind the stage as (B, C, h, w), of tokens those of patches; `image` has the proportions."""
        if self.form == MAPS:
            return features
        height, width = self.grid(features, image)
        patches = features[:, self.prefix :] if self.form == TOKENS else features
        return patches.reshape(len(features), height, width, -1).permute(0, 3, 1, 2)

    def apart(self, maps: Tensor) -> Tensor:
        """Each position of maps (B, C, h, w) as features of its own, in the form of the stage, B·h·w of them.

        Of tokens those before the patches are 0.
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
    """All that other rooms have to know of a backbone.

    Attributes:
        name: Of the backbone, as timm calls it.
        stages: In the order in which they run; the first is the image itself, the last ends with the features.
        num_features: Channels of the pooled features.
        placements: Named choices of sites.
        explained: The stage where Grad-CAM is taken unless another is asked for.
        mean: Of the images that its start weights were made with, by channel, in [0, 1].
        std: The same for the standard deviation.
        side: The height and width of these images in pixels.
        lacking: Why attention can follow no stage, where it can't.
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
        """The stage of a name.

        Raises:
            UserError: There is none of that name; `option` is what named it.
        """
        names = [stage.name for stage in self.stages]
        return self.stages[names.index(require_choice(option, name, names))]

    def placed(self, placement: str | Iterable[str]) -> tuple[str, ...]:
        """The sites of a named choice, of one site's name or of a list of sites, in the order of the stages.

        Raises:
            UserError: A name is unknown or given twice.
        """
        try:
            return self._placed(placement)
        except UserError as error:
            if not self.lacking:
                raise
            raise UserError(
                f"{error} No stage of model.backbone={self.name} takes attention, for {self.lacking}; use "
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
    """Height and width of the grid of so many patches, which has the proportions of the mask.

    Raises:
        UserError: No grid has so many patches, as where some are dropped while training.
    """
    height, width = mask.shape[-2:]
    rows = max(1, round((tokens * height / width) ** 0.5))
    if tokens % rows:
        raise UserError(
            f"{tokens} patches of an image of {height} × {width} are no grid, so a mask can't weight them; switch off "
            "what drops patches (++model.options.patch_drop_rate=0), or use model.placement=none"
        )
    return rows, tokens // rows
