"""Which versions of this program and of what it stands on are installed, without importing them."""

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
    """The version of an installed package; None where it isn't installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def build_of_torch() -> str:
    """For what the installed torch was built: `CUDA 12.8`, `ROCm 6.4` or `CPU`; empty where that isn't known."""
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
    """A line for each: package, version, and of torch what it was built for."""
    told = {name: version_of(name) or "not installed" for name in PACKAGES}
    if build := build_of_torch():
        told["torch"] += f" ({build})"
    first = {"addnet": told.pop("addnet"), "python": platform.python_version()}
    width = max(map(len, [*first, *told]))
    return "".join(f"{name:{width}}  {text}\n" for name, text in {**first, **told}.items())
