"""The page `reference/settings.md`: every key of `configs/` with its default and its comment there."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from addnet.commands import COMMANDS, typed_as
from addnet.config import files_of
from addnet.config_help import Setting, SettingsFile, settings_in

OPENING = """# Settings

Every file of `configs/`: its keys, their defaults, and what its comments say.

- `GROUP=FILE` takes another file of a group: `addnet train optimizer=adamw`.
- `KEY=VALUE` takes another value: `addnet train optimizer.lr=3e-4`.
- `addnet COMMAND --help` shows the same for one command, with the files that it takes
  ([Commands](commands.md)). `addnet train … --cfg job` shows the composed config.
- "Takes `folder`" means that a file begins with the keys of another file; only the keys that it changes are listed.
- `${…}` stands for the value of another key.
"""
GROUPS = {  # as a newcomer meets them: group → what it decides
    "data": "Which data set is read, how its files are laid out, and how images are cut and split.",
    "prepare": "How landmarks are found and faces cut out of videos.",
    "mask": "How the attention mask is drawn.",
    "augment": "Random changes of training images.",
    "blend": "How real images are blended with themselves or with others, where `data.fakes` asks for it.",
    "model": "The network, its start weights, ADD blocks and bandpass layer.",
    "loss": "What training minimises.",
    "optimizer": "The optimiser and its learning rates. `name` is any optimiser of timm.",
    "scheduler": "How the learning rate changes.",
    "trainer": "Devices, precision and length of the training: arguments of Lightning's Trainer.",
    "callbacks": "What happens during training: checkpoints, early stopping, plots, reports.",
    "logger": "Where metrics go. `logger=[csv,tensorboard]` takes two.",
    "experiment": "Recipes: many settings at once. See [Recipes](../recipes.md).",
    "ablation": "One factor changed. See [Scale out and repeat](../scaling.md#ablations).",
    "sweep": "Named sweeps: several values, one job each. See [Scale out and repeat](../scaling.md#sweeps).",
    "debug": "Short runs that look for mistakes.",
    "robustness": "The ladder of degradations that `addnet evaluate` climbs.",
    "size": "How large the cells of `addnet study` are.",
    "paths": "Where everything is written.",
    "hydra": "Hydra's own settings: folders of runs and sweeps, and the log.",
    "local": "Settings of this machine: `configs/local/default.yaml`, which git ignores.",
}
ONE_TABLE = ("ablation",)  # of many files with few keys each


def settings_page() -> str:
    """The page as Markdown."""
    lines = [OPENING, "## Commands", "", "Keys of each command that belong to no group.", ""]
    commands = dict.fromkeys(said.config for said in COMMANDS.values() if said.config)
    for config in (*commands, *(file for file in files_of("") if "/" not in file and file not in commands)):
        names = ", ".join(f"`{typed_as(name)}`" for name, said in COMMANDS.items() if said.config == config)
        read = [f"Read by {names}.", ""] if names else []
        lines += [f"### `{config}.yaml`", "", *read, *_file(settings_in("", config))]
    for group, purpose in GROUPS.items():
        files = {choice: settings_in(group, choice) for choice in files_of(group)}
        lines += [f"## `{group}`", "", purpose, ""]
        if group in ONE_TABLE:
            lines += _together(files)
            continue
        for choice, file in files.items():
            lines += [f"### `{group}={choice}`", "", *_file(file)]
    return "\n".join(lines)


def _file(file: SettingsFile) -> Iterator[str]:
    if file.header:
        yield from (_escaped(file.header), "")
    if file.takes:
        yield from (f"Takes {_codes(file.takes)}.", "")
    if not file.settings:
        return
    yield from ("| key | default | meaning |", "|---|---|---|")
    for setting in file.settings:
        if setting.above:
            yield f"| | | *{_escaped(setting.above)}* |"
        yield f"| `{setting.key}` | {_code(setting.default)} | {_escaped(setting.comment)} |"
    yield ""


def _together(files: dict[str, SettingsFile]) -> Iterator[str]:
    yield from ("| file | sets | what for |", "|---|---|---|")
    for choice, file in files.items():
        sets = [*(f"`{taken}`" for taken in file.takes), *map(_assigned, file.settings)]
        yield f"| `{choice}` | {'<br>'.join(filter(None, sets))} | {_escaped(file.header)} |"
    yield ""


def _assigned(setting: Setting) -> str:
    return f"`{setting.key}={setting.default}`" if setting.default else ""


def _codes(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


def _escaped(text: str) -> str:
    """Plain text as Markdown within a table; what stands in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part.replace("|", "\\|")
        if part.startswith("`")
        else re.sub(r"([\\|*_\[\]{}#])", r"\\\1", html.escape(part, quote=False))
        for part in parts
    )
