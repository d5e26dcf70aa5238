"""Expands the named sweeps of a study into its cells, each once, with the config that it is trained with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from addnet.config import compose, config_dir, files_of, plain
from addnet.errors import UserError, require_choice
from addnet.overrides import takes_path
from addnet.study.recipe import digest, recipe

_KEYS = {"seed", "ablation"}
_SIDE = 128  # image side in pixels that `seconds_per_image` refers to


@dataclass(frozen=True)
class StudyCell:
    """One training of a study.

    Attributes:
        sweep: The first of the study's sweeps that contains it; it has the settings of this sweep.
        variant: The file in the config group `ablation`.
        seed: Its seed.
        fixed: Overrides that all cells share.
    """

    sweep: str
    variant: str
    seed: int
    fixed: tuple[str, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The name of its folder and its files.

        Example:
            >>> StudyCell("study_attention", "attention/gate", 0).name
            'attention/gate-0'
        """
        return f"{self.variant}-{self.seed}"

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides of its config, in Hydra's grammar."""
        return f"sweep={self.sweep}", f"ablation={self.variant}", f"seed={self.seed}", *self.fixed

    @property
    def told(self) -> tuple[str, ...]:
        """The overrides without those that contain paths of this machine."""
        return tuple(one for one in self.overrides if not takes_path(one.lstrip("+~").partition("=")[0]))

    @property
    def config(self) -> dict[str, Any]:
        """Its config, composed and resolved, without the seed; cached, so don't modify it."""
        return _composed(tuple(one for one in self.overrides if not one.startswith("seed=")))

    @property
    def compare_to(self) -> str:
        """The variant that it is compared with."""
        return str(self.config["compare_to"])

    @property
    def digest(self) -> str:
        """The digest of its recipe; equal for all seeds of a variant."""
        return digest(recipe(self.config))

    def work(self, images: int) -> float:
        """Returns the amount of training, as a number of images of 128 × 128 pixels.

        Args:
            images: Number of training images if the config sets no limit.
        """
        cfg = self.config
        side, data = cfg["data"]["image_size"], cfg["data"]
        shown = (data["limit_train"] or images) * (2 if data["fakes"] == "self_blended" else 1)
        passes = 2 if cfg["optimizer"].get("sam_rho") else 1
        return float(cfg["trainer"]["max_epochs"] * shown * passes * (side / _SIDE) ** 2)


@cache  # composing takes about 0.2 s, and the result is the same for all seeds
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    return plain(compose([*overrides, "paths.output_dir=outputs/here"]))


def cells(sweeps: Sequence[str], fixed: Sequence[str] = ()) -> list[StudyCell]:
    """Returns the cells of several sweeps, in order; a cell in two sweeps is trained as in the first.

    Args:
        sweeps: Files in the config group `sweep`, each over `seed` and `ablation`.
        fixed: Overrides for all cells.

    Raises:
        UserError: A sweep doesn't exist, or it is over other keys.
    """
    by_name: dict[str, StudyCell] = {}
    for sweep in sweeps:
        require_choice("sweeps", sweep, files_of("sweep"))
        params = OmegaConf.load(Path(config_dir(), "sweep", f"{sweep}.yaml")).hydra.sweeper.params
        for values in _combinations(sweep, params):
            cell = StudyCell(sweep, values["ablation"], int(values["seed"]), tuple(fixed))
            by_name.setdefault(cell.name, cell)
    return list(by_name.values())


def _combinations(sweep: str, params: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns the combinations in the order of Hydra's own sweeper: the first key varies slowest."""
    if set(params) != _KEYS:
        raise UserError(
            f"sweep={sweep} is over {', '.join(map(str, params))}; a sweep of a study must be over seed and ablation"
        )
    parser = OverridesParser.create()
    values = []
    for key, text in params.items():
        parsed = parser.parse_override(f"{key}={text}")
        names = parsed.sweep_string_iterator() if parsed.is_sweep_override() else [str(parsed.value())]
        values.append([(str(key), name) for name in names])
    return [dict(pairs) for pairs in itertools.product(*values)]
