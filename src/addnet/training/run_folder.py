"""Records a run in its folder (config, command, commit, versions, data) and summarises its results."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.tree import Tree
from torch import nn

import addnet
from addnet.console import shown_path
from addnet.data.usable import counts
from addnet.evaluation.paired import PAIRED
from addnet.evaluation.table import LOGGED
from addnet.launch import command_form
from addnet.untrusted.secrets import masked, shown_command
from addnet.versions import PACKAGES, version_of

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from addnet.training.served_data import ServedData

_REPEATED = re.compile(r"\$\{[\w.]+\}")  # an interpolation of another key, alone


def provenance(data_fingerprint: str) -> dict[str, Any]:
    """How to repeat a run: command, git commit, versions, platform and a fingerprint of the data."""
    return {
        "command": shown_command(command_form(), sys.argv[1:]),
        "git": _git(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "data_fingerprint": data_fingerprint,
    }


def write_run_folder(run_dir: Path, cfg: DictConfig, *, data_fingerprint: str) -> None:
    """Writes `config.yaml` (resolved, except values from the environment), `config_tree.txt` and `provenance.json`."""
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "config.yaml").write_text(_as_yaml(masked(cfg)), encoding="utf-8")
    with (run_dir / "config_tree.txt").open("w", encoding="utf-8") as stream:
        Console(file=stream, width=120).print(config_tree(cfg))
    text = json.dumps(provenance(data_fingerprint), indent=2) + "\n"
    (run_dir / "provenance.json").write_text(text, encoding="utf-8")


def config_tree(cfg: DictConfig) -> Tree:
    """The resolved config as a tree with a branch for each group, without values from the environment."""
    tree, values = Tree("config"), masked(cfg)
    for key, value in values.items():
        if isinstance(value, dict):
            tree.add(str(key)).add(Syntax(_as_yaml(value).strip() or "{}", "yaml"))
    scalars = {key: value for key, value in values.items() if not isinstance(value, dict)}
    tree.add("run").add(Syntax(_as_yaml(scalars).strip(), "yaml"))
    return tree


def _as_yaml(values: dict[str, Any]) -> str:
    """YAML in OmegaConf's form: texts that it would read as numbers are in quotes."""
    text: str = yaml.dump(
        values, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=get_omega_conf_dumper()
    )
    return text


def parameters(cfg: DictConfig, data: ServedData, net: nn.Module) -> dict[str, Any]:
    """The hyperparameters of a run for its loggers: config, counts of the data, sizes of the network, each once.

    Nodes that only repeat another node (`data.mask` repeats `mask`) and the loggers themselves are left out.
    """
    once = _without_doubles(OmegaConf.to_container(cfg, resolve=False), masked(cfg))
    sizes = [parameter.numel() for parameter in net.parameters()]
    trainable = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    counted = {
        f"data/{split}/{what}": number for split, part in counts(data.splits).items() for what, number in part.items()
    }
    network = {"parameters/total": sum(sizes), "parameters/trainable": trainable}
    return {name: node for name, node in once.items() if name != "logger"} | network | counted


def _without_doubles(raw: Any, resolved: Any) -> Any:
    if not isinstance(raw, dict):
        return resolved
    return {
        key: _without_doubles(node, resolved[key])
        for key, node in raw.items()
        if not (isinstance(node, str) and _REPEATED.fullmatch(node))
    }


def print_config(cfg: DictConfig) -> None:
    """Prints the whole config if `print_config` is set."""
    if cfg.print_config:
        Console().print(config_tree(cfg))


def final_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """The metrics of the last evaluation, and those of validation at the best checkpoint."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    monitor, best = (getattr(trainer.checkpoint_callback, name, None) for name in ("monitor", "best_model_score"))
    if monitor is None or best is None:
        return metrics
    at_best = getattr(trainer.checkpoint_callback, "metrics", {})
    return metrics | dict(at_best) | {monitor: float(best)}


def last_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """The metrics of the test, or those of the last validation where nothing was tested."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    split = _tested(metrics)
    return {name: value for name, value in metrics.items() if split and name.startswith(f"{split}/")}


def _tested(metrics: dict[str, float]) -> str | None:
    return next((split for split in ("test", "val") if f"{split}/frame/loss" in metrics), None)


def print_summary(run_dir: Path, metrics: dict[str, float], *, checkpoint: str) -> None:
    """Prints the metrics of the run and where its results are."""
    console = Console()
    if split := _tested(metrics):
        tested = "best checkpoint on test" if checkpoint else "test"
        console.print(_metrics_table(metrics, split, tested if split == "test" else "last epoch on validation"))
    lines = [f"run folder: {shown_path(run_dir)}"]
    if checkpoint:
        lines.append(f"checkpoint: {shown_path(checkpoint)}")
    plots = [f"plots/{name}.png" for name in ("training_samples", "self_blends", "curves")]
    names = [*plots, "reports/test_frame_classification_report.txt"]
    existing = [name for name in names if (run_dir / name).exists()]
    lines += [f"{'contains: ' if at == 0 else '':>12}{name}" for at, name in enumerate(existing)]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _metrics_table(metrics: dict[str, float], split: str, title: str) -> Table:
    table = Table(title=title)
    table.add_column("metric")
    levels = ("frame", "video")
    for level in levels:
        table.add_column(level, justify="right")
    for name in ("loss", *LOGGED, PAIRED):
        cells = [metrics.get(f"{split}/{level}/{name}") for level in levels]
        if name == PAIRED and cells == [None] * len(levels):
            continue
        table.add_row(name, *("" if cell is None else f"{cell:.4f}" for cell in cells))
    return table


def _git() -> dict[str, Any] | None:
    """The commit of the checkout this package runs from; None for an installed copy or without git."""
    root = Path(addnet.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git_output(root, "rev-parse", "HEAD").strip()
        # files in `results` are outputs: they don't make the code dirty
        changed = _git_output(root, "status", "--porcelain", "--", ":/", ":(top,exclude)results")
        return {"commit": commit, "dirty": bool(changed.strip())}
    except (OSError, subprocess.SubprocessError):
        return None


def _git_output(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
