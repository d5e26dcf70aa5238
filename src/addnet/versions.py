"""Reports the installed versions of this program and its dependencies, without importing them."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "addnet",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "timm",
    "dlib-bin",
    "opencv-python-headless",
    "numpy",
    "torchmetrics",
    "comet_ml",
    "pyarrow",
)


def version_of(package: str) -> str | None:
    """Returns the version of a package; None if it isn't installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def build_of_torch() -> str:
    """Returns the platform that the installed torch was built for, such as `CUDA 12.8` or `CPU`; empty if unknown."""
    spec = find_spec("torch")
    if spec is None or not spec.origin:
        return ""
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    for name, key in (("CUDA", "cuda"), ("ROCm", "hip")):
        if found := re.search(rf"^{key}\b[^=]*= '([^']+)'", text, re.MULTILINE):
            return f"{name} {found[1]}"
    return "CPU"


def versions_in_words() -> str:
    """Lists packages with their versions, one per line, and the platform that torch was built for."""
    installed = {name: version_of(name) or "not installed" for name in PACKAGES}
    if build := build_of_torch():
        installed["torch"] += f" ({build})"
    first = {"addnet": installed.pop("addnet"), "python": platform.python_version()}
    width = max(map(len, [*first, *installed]))
    return "".join(f"{name:{width}}  {text}\n" for name, text in {**first, **installed}.items())
