"""Locates the YAML files, composes configs outside a command, and builds objects from config nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from addnet.data.entries import entry_place
from addnet.errors import UserError, require_choice
from addnet.overrides import at_home
from addnet.signatures import check_arguments


def where_bfloat16(there: Any, elsewhere: Any) -> Any:
    """Returns the first value on a CPU that computes in bfloat16 (AVX-512 BF16, AMX, or Arm's BF16), else the second.

    In configs: `${where_bfloat16:bf16-mixed,32-true}`.
    """
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return elsewhere
    return there if {"avx512_bf16", "amx_bf16", "bf16"} & set(text.split()) else elsewhere


def run_name(_root_: Any) -> str:
    """Returns a name that distinguishes a run in a list: network (its backbone, if it is set), data and task.

    In configs: `${run_name:}`.

    Example:
        >>> cfg = {"model": {"name": "bandpass"}, "data": {"data_dir": "/sets/faces"}, "task": "train"}
        >>> run_name(OmegaConf.create(cfg))
        'bandpass faces train'
        >>> run_name(OmegaConf.create(cfg | {"model": {"name": "timm", "backbone": "convnext_atto"}}))
        'convnext_atto faces train'
    """
    data = _root_.data
    sources = [data.get("data_dir"), data.get("index")]
    if trained_on := data.get("train"):
        sources = [entry_place(source) for source in trained_on]
    named = [Path(str(source)) for source in sources if source][: None if trained_on else 1]
    folders = [path.parent.name if path.name == "index.parquet" else path.name for path in named]
    network = _root_.model.get("backbone") or _root_.model.name
    return " ".join([str(network), *(["+".join(folders)] if folders else []), str(_root_.task)])


def each_method(data: DictConfig) -> str:
    """Returns the values of a sweep that holds out each forgery method once; see `data.held_method.to_sweep`."""
    from addnet.data.held_method import to_sweep  # reads the data set: only if a sweep needs it

    return to_sweep(cast("dict[str, Any]", OmegaConf.to_container(data, resolve=True)))


OmegaConf.register_new_resolver("where_bfloat16", where_bfloat16, replace=True)
OmegaConf.register_new_resolver("run_name", run_name, replace=True)


OmegaConf.register_new_resolver("each_method", each_method, replace=True)
OmegaConf.register_new_resolver("at_home", at_home, replace=True)  # for the output folders, which Hydra itself reads


def expand_home(cfg: DictConfig | ListConfig) -> None:
    """Expands `~` in every path of a config; nothing else does."""
    for key in range(len(cfg)) if isinstance(cfg, ListConfig) else list(cfg):
        if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key):
            continue
        value = cfg[key]
        if isinstance(value, (DictConfig, ListConfig)):
            expand_home(value)
        elif isinstance(value, str) and (path := at_home(value)) != value:
            cfg[key] = path


def config_dir() -> str:
    """Returns the folder of the YAML files: the checkout's `configs/` if there is one, else the copy in the wheel."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "configs" / "train.yaml").is_file():
        return str(checkout / "configs")
    return str(files("addnet") / "configs")


def compose(overrides: Sequence[str] = (), *, config_name: str = "train") -> DictConfig:
    """Composes a config outside a command, as `addnet train OVERRIDES` would.

    Raises:
        hydra.errors.HydraException: An override names an unknown key or group.
    """
    return compose_with_choices(overrides, config_name=config_name)[0]


def compose_with_choices(
    overrides: Sequence[str] = (), *, config_name: str = "train"
) -> tuple[DictConfig, dict[str, str | None]]:
    """Composes a config as `compose` does; also returns the file that was chosen in each group.

    Raises:
        hydra.errors.HydraException: An override names an unknown key or group.
    """
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(config_dir(), version_base="1.3"):
        cfg = hydra.compose(config_name, overrides=list(overrides), return_hydra_config=True)
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    expand_home(cfg)
    return cfg, choices


def files_of(group: str) -> list[str]:
    """Returns the names of the files in a config group, as used in overrides.

    Example:
        >>> files_of("trainer")[:3], "attention/gate" in files_of("ablation")
        (['cpu', 'cpu_fast', 'ddp'], True)
    """
    folder = Path(config_dir(), group)
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def without_group(argument: str) -> str:
    """Converts `logger=false`, `logger=null` and `~logger` to `logger=none`, for groups that have such a file.

    All other arguments are returned unchanged.

    Example:
        >>> without_group("logger=false"), without_group("~callbacks"), without_group("model=false")
        ('logger=none', 'callbacks=none', 'model=false')
    """
    group, equal, value = argument.removeprefix("~").partition("=")
    off = value.lower() in ("false", "null") if equal else argument.startswith("~")
    return f"{group}=none" if off and group.isidentifier() and "none" in files_of(group) else argument


def load_group(group: str, name: str) -> dict[str, Any]:
    """Loads a file of a config group as plain arguments, without its `_target_`.

    Raises:
        UserError: The file doesn't exist.
    """
    require_choice(group, name, files_of(group))
    node = plain(compose([f"{group}={name}"])[group])
    return {key: value for key, value in node.items() if key != "_target_"}


def plain(node: Any) -> dict[str, Any]:
    """Converts a config node to resolved dicts, lists and scalars, which may be stored in a checkpoint.

    Raises:
        omegaconf.errors.MissingMandatoryValue: A value is `???`; see `addnet.required`.
    """
    return cast("dict[str, Any]", OmegaConf.to_container(node, resolve=True, throw_on_missing=True))


def build(node: Any, **extra: Any) -> Any:
    """Instantiates a node by its `_target_`; the user gets the constructor's own error message.

    Raises:
        UserError: The constructor rejected its arguments, or a package that it needs is not installed.
    """
    from pytorch_lightning.utilities.exceptions import (
        MisconfigurationException,
    )  # slow to import; --help doesn't need it

    check_values(node, **extra)
    try:
        return hydra.utils.instantiate(node, **extra)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, (ValueError, TypeError, ImportError, MisconfigurationException)):
            raise UserError(f"{node.get('_target_')}: {cause}") from error
        raise


def check_values(node: Any, **extra: Any) -> None:
    """Compares the values of a node, and of the nodes in it, with the annotations of their `_target_`.

    Args:
        node: Part of a config.
        extra: Values that replace those of the node.

    Raises:
        UserError: A value has the wrong type; the message contains its key as a user types it.
    """
    if not isinstance(node, DictConfig):
        return
    values = {str(key): node[key] for key in node if not OmegaConf.is_missing(node, key)}
    for value in values.values():
        check_values(value)
    if target := values.get("_target_"):
        try:
            found = hydra.utils.get_object(target)
        except (ImportError, AttributeError, ValueError):  # reported when it is built
            return
        check_arguments(found, values | extra, prefix=f"{key}." if (key := node._get_full_key(None)) else "")


def build_all(nodes: Mapping[str, Any] | None) -> list[Any]:
    """Instantiates every node of a group such as `callbacks` or `logger`, in order; skips empty ones."""
    return [build(node) for node in (nodes or {}).values() if node and "_target_" in node]
