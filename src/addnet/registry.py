"""The registry of networks, losses and schedules: those of addnet, and those of other packages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from addnet.errors import UserError, require_choice, suggestion
from addnet.signatures import check_arguments

GROUP = "addnet.plugins"  # group of entry points: each is imported, and called if it is a function
KINDS = {"network": "model", "loss": "loss", "schedule": "scheduler"}  # kind → section of the config

Maker = Callable[..., Any]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_makers: dict[str, dict[str, Maker]] = {kind: {} for kind in KINDS}
_plugins: list[str] = []


def register(kind: str, name: str, maker: Maker) -> None:
    """Registers a network, a loss or a schedule under a name, for use in configs and checkpoints.

    A checkpoint stores only the name; wherever the checkpoint is read, `register` must have been called before: by an
    entry point in the group `addnet.plugins`, or before `addnet.train.main()` in your own script. `docs/extending.md`
    has a worked example.

    Args:
        kind: `network`, `loss` or `schedule`.
        name: A name of letters, digits, `_` and `-`.
        maker: A class or function. It is called with the other keys of its config section as keyword arguments, so
            that its signature defines the valid keys, and makes:
            a network: `net(image, mask)` → logits, see `addnet.models.ADDNet`;
            a loss: `loss(logits, labels, weights)` → the loss of each row, see `addnet.training.losses.RowFunction`;
            a schedule: from the additional arguments `optimizer`, `total_steps` and `steps_per_epoch`, a torch
            scheduler that is stepped after each optimiser step.

    Raises:
        UserError: The kind is unknown, or the name is not valid or already taken.
    """
    makers = _makers[require_choice("kind", kind, KINDS)]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a valid name for a {kind}; use letters, digits, _ and -")
    if not callable(maker):
        raise UserError(f"{maker!r} is not callable; register a class or a function that makes a {kind}")
    if makers.get(name, maker) is not maker:
        raise UserError(f"the {kind} {name!r} is already {_place(makers[name])}; use another name")
    makers[name] = maker


def declared(kind: str, makers: Mapping[str, Maker]) -> dict[str, Maker]:
    """Registers addnet's own makers of a kind, and returns all makers of that kind.

    Raises:
        UserError: Another package has already taken one of the names.
    """
    for name, maker in makers.items():
        register(kind, name, maker)
    return _makers[kind]


def maker_of(kind: str, name: object) -> Maker:
    """Returns the maker registered under a name; plugins are imported only if addnet itself has no such name.

    Raises:
        UserError: The name is unknown; the message lists the registered names.
    """
    makers = _makers[kind]
    if isinstance(name, str) and name not in makers:
        _load_plugins()
    if not isinstance(name, str) or name not in makers:
        raise UserError(
            f"{KINDS[kind]}.name={name!r} is unknown; choose one of: {', '.join(makers)}, or install the package that "
            f"registers it (see docs/extending.md).{suggestion(name, makers)}"
        )
    return makers[name]


def check_options(kind: str, name: str, options: Mapping[str, Any], *, given: Iterable[str] = ()) -> Maker:
    """Checks options against the signature of a maker, and returns the maker.

    Args:
        kind: `network`, `loss` or `schedule`.
        name: A registered name.
        options: Keys of its config section, without `name`.
        given: Parameters that addnet passes itself.

    Raises:
        UserError: The name or an option is unknown, or a value has the wrong type; the message lists valid names.
    """
    maker, section = maker_of(kind, name), KINDS[kind]
    parameters = inspect.signature(maker).parameters.values()
    some = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    valid = [parameter.name for parameter in parameters if parameter.name not in given]
    for option in options:
        if option not in valid and not some:
            near = suggestion(option, valid)
            raise UserError(f"{section}.{option} is not an option of {name!r}; valid are: {', '.join(valid)}.{near}")
    check_arguments(maker, options, prefix=f"{section}.")
    return maker


def _place(maker: Maker) -> str:
    return f"{getattr(maker, '__module__', '?')}.{getattr(maker, '__qualname__', type(maker).__name__)}"


def _load_plugins() -> None:
    """Imports the plugins of installed packages, once per process.

    Raises:
        UserError: A plugin fails.
    """
    for point in entry_points(group=GROUP):
        if point.value in _plugins:
            continue
        _plugins.append(point.value)
        try:
            plugin = point.load()
            if inspect.isroutine(plugin):
                plugin()
        except Exception as error:
            raise UserError(
                f"the plugin {point.name} ({point.value}) in the group {GROUP} fails: {type(error).__name__}: {error}; "
                "fix or uninstall its package"
            ) from error
