"""Names of a package whose modules are imported when one of them is first asked for."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package takes as its `__getattr__` and its `__dir__` (PEP 562).

    Args:
        package: Its `__name__`; it has an `__all__`.
        homes: Each public name's module in it; one that begins with a dot is looked for beside the package.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{homes[name]}", package), name)

    def public() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, public
