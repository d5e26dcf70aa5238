"""Names of a package whose modules are imported when one of them is first asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """What a package takes as its `__getattr__` (PEP 562).

    Args:
        package: Its `__name__`.
        homes: Each public name's module in it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get
