"""Writes an evaluation to a folder as a web page, Markdown and JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from addnet.evaluation.assessment import Scored
from addnet.evaluation.report.markdown import markdown
from addnet.evaluation.report.page import html_page
from addnet.evaluation.report.robustness import Robustness
from addnet.evaluation.report.sections import document
from addnet.untrusted.texts import in_json

PAGE, TEXT, NUMBERS, IMAGES = "report.html", "report.md", "evaluation.json", "plots"
_OURS = re.compile(
    r"(roc|pr|scores|reliability_images|reliability_videos|confusion|undecided|tippett|det|robustness)_\d.*\.png|mistake_\d+\.png"
)


def write_report(
    folder: Path,
    evaluation: Mapping[str, Any],
    scored: Scored,
    *,
    robustness: Robustness,
    mistakes: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> tuple[Path, ...]:
    """Writes `report.html`, `report.md` with its `plots/`, and `evaluation.json`; replaces those of an earlier report.

    Args:
        folder: The folder; it is created if necessary.
        evaluation: Result of `assess`.
        scored: The scores that were assessed: checkpoint → data set → rows.
        robustness: Checkpoint → data set → kind of damage → steps of {"level", "label", "metrics": `frame/auroc` … →
            value, low, high}; the optional kind "clean" has one step without damage. If empty, the section is left out.
        mistakes: Each {"path", "label", "probability", "image": (H, W, 3) uint8 RGB}, and optionally "checkpoint" and
            "set"; in the order in which they are shown.
        about: Names → values shown at the end, such as the command, the commit, versions.

    Returns:
        The three files, in the order above.
    """
    robustness, about = plain_values(robustness), plain_values(about)
    report = document(evaluation, scored, robustness=robustness, mistakes=mistakes, about=about)
    images = folder / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.png"):
        if _OURS.fullmatch(old.name):
            old.unlink()
    for image in report.images():
        (images / f"{image.stem}.png").write_bytes(image.png)
    listed = [{key: value for key, value in mistake.items() if key != "image"} for mistake in mistakes]
    numbers = plain_values({"about": about, **evaluation, "robustness": robustness, "mistakes": listed})
    contents = {
        PAGE: html_page(report),
        TEXT: markdown(report, images=IMAGES),
        NUMBERS: in_json(json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False)) + "\n",
    }
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in contents)


def plain_values(value: Any) -> Any:
    """A value as JSON can hold it: NumPy's numbers as Python's, None for NaN and infinity, other objects as text."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
