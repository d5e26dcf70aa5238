"""Networks, losses and schedules by name: those of the program, and those that other packages add."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from addnet.errors import UserError, require_choice, suggestion
from addnet.signatures import check_arguments

GROUP = "addnet.plugins"  # of entry points: what a package names there is imported, and called if it can be
KINDS = {"network": "model", "loss": "loss", "schedule": "scheduler"}  # and the sections of a config that name them

Maker = Callable[..., Any]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_makers: dict[str, dict[str, Maker]] = {kind: {} for kind in KINDS}
_plugins: list[str] = []


def register(kind: str, name: str, maker: Maker) -> None:
    """Makes something of one's own available under a name, for configs and checkpoints.

    A checkpoint holds the name alone; wherever it is read, `register` has to have been called again: by an entry point
    of the group `addnet.plugins`, or before `addnet.train.main()` in a script of one's own. `docs/extending.md` has a
    worked example.

    Args:
        kind: `network`, `loss` or `schedule`.
        name: Letters, digits, `_` and `-`.
        maker: A class or function. It gets the other keys of its section of the config by name, so that its signature
            says which ones there are, and makes:
            a network: `net(image, mask)` → logits, see `addnet.models.ADDNet`;
            a loss: `loss(logits, labels, weights)` → the loss of each row, see `addnet.training.losses.RowFunction`;
            a schedule: of `optimizer`, `total_steps` and `steps_per_epoch` as well, a schedule of torch's that is
            stepped after each optimiser step.

    Raises:
        UserError: There is no such kind, the name is no name, or something else has it.
    """
    makers = _makers[require_choice("kind", kind, KINDS)]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a valid name of a {kind}; use letters, digits, _ and -")
    if not callable(maker):
        raise UserError(f"{maker!r} can't make a {kind}; register a class or a function")
    if makers.get(name, maker) is not maker:
        raise UserError(f"the {kind} {name!r} is {_place(makers[name])} already; use another name")
    makers[name] = maker


def declared(kind: str, makers: Mapping[str, Maker]) -> dict[str, Maker]:
    """All makers of a kind, those of the program among them; for the rooms that have them.

    Raises:
        UserError: Another package has taken one of the names.
    """
    for name, maker in makers.items():
        register(kind, name, maker)
    return _makers[kind]


def maker_of(kind: str, name: object) -> Maker:
    """What was registered under a name; installed packages are imported only where the program has nothing under it.

    Raises:
        UserError: Nothing was; the message lists what there is.
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
    """The maker of a name, once its signature was compared with the options that it is to get.

    Args:
        kind: `network`, `loss` or `schedule`.
        name: What was registered.
        options: Keys of the config's section, without `name`.
        given: Parameters that it gets from the program.

    Raises:
        UserError: The name or an option is unknown, or a value is of another kind; the message lists what there is.
    """
    maker, section = maker_of(kind, name), KINDS[kind]
    parameters = inspect.signature(maker).parameters.values()
    some = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    valid = [parameter.name for parameter in parameters if parameter.name not in given]
    for option in options:
        if option not in valid and not some:
            near = suggestion(option, valid)
            raise UserError(f"{section}.{option} is no option of {name!r}; it takes: {', '.join(valid)}.{near}")
    check_arguments(maker, options, prefix=f"{section}.")
    return maker


def _place(maker: Maker) -> str:
    return f"{getattr(maker, '__module__', '?')}.{getattr(maker, '__qualname__', type(maker).__name__)}"


def _load_plugins() -> None:
    """Imports what installed packages name in the group, once a process.

    Raises:
        UserError: One of them fails.
    """
    for point in entry_points(group=GROUP):
        if point.value in _plugins:
            continue
        _plugins.append(point.value)
        try:
            found = point.load()
            if inspect.isroutine(found):
                found()
        except Exception as error:
            raise UserError(
                f"the plugin {point.name} ({point.value}) of the group {GROUP} fails: {type(error).__name__}: {error}; "
                "mend or uninstall its package"
            ) from error
