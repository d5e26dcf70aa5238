"""Lazy imports: a package's names whose modules are imported on first access."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the `__getattr__` and the `__dir__` of a package (PEP 562).

    Args:
        package: The package's `__name__`; the package must have an `__all__`.
        homes: Public name → module in the package; with a leading dot, a module next to the package.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{homes[name]}", package), name)

    def public() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, public
