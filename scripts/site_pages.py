"""Hooks of mkdocs: pages that lie elsewhere in the repository or are made from it, and links that lead out of docs/.

`make site` builds the site; nothing is fetched for it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from site_settings import settings_page

from addnet.commands import COMMANDS, GROUPS, examples, typed_as
from addnet.config_help import help_text

ROOT = Path(__file__).parents[1]
MOVED = {  # in the repository → on the site
    "README.md": "index.md",
    **{name: name for name in ("MODEL_CARD.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")},
    **{f"src/addnet/detectors/{name}/README.md": f"detectors/{name}.md" for name in ("lite", "lite-clean")},
}
IMAGES = ("benchmarks/results/*.png",)
PYTHON = {  # what users of Python call, by what it is for
    "Ask a detector": (
        *("addnet.inference.detector.Detector", "addnet.inference.answers.Answer"),
        *("addnet.inference.answers.FaceAnswer", "addnet.inference.explaining.explain", "addnet.inference.hub.push"),
    ),
    "Data": (
        *("addnet.data.datamodule.DeepfakeDataModule", "addnet.data.augment.Augment"),
        "addnet.faces.blend.SelfBlend",
    ),
    "Faces and masks": (
        *("addnet.faces.masks.AttentionMask", "addnet.faces.landmarks.Landmarker"),
        "addnet.faces.geometry.Geometry",
    ),
    "Networks": (
        *("addnet.models.registry.create_model", "addnet.models.network.ADDNet"),
        *("addnet.models.bandpass.BandpassLayer", "addnet.models.add_block.ADDBlock"),
    ),
    "Train and measure": (
        *("addnet.config.compose", "addnet.train.train", "addnet.training.module.DeepfakeDetector"),
        *("addnet.evaluate.evaluate", "addnet.predict.predict", "addnet.registry.register"),
    ),
}
_COLUMNS = "84"  # of what stands in a block
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that don't lie in docs/."""
    for source, page in MOVED.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for pattern in IMAGES:
        for image in sorted(ROOT.glob(pattern)):
            name = image.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, content=image.read_bytes()))
    files.append(File.generated(config, "reference/commands.md", content=_commands()))
    files.append(File.generated(config, "reference/settings.md", content=settings_page()))
    files.append(File.generated(config, "reference/python.md", content=_python()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files of the repository lead to their pages, or become text where there is none."""
    here = next((source for source, place in MOVED.items() if place == page.file.src_uri), f"docs/{page.file.src_uri}")
    if page.file.src_uri.startswith("reference/"):
        return markdown
    if page.file.src_uri in MOVED.values() and markdown.startswith("---\n"):
        markdown = markdown.split("---\n", 2)[2]  # what model hubs read
    parts = re.split(r"(```.*?```)", markdown, flags=re.DOTALL)
    return "".join(part if part.startswith("```") else _LINK.sub(lambda m: _led(m, here, page), part) for part in parts)


def _led(found: re.Match[str], here: str, page: Any) -> str:
    image, text, target = found.groups()
    path, hash_, anchor = target.partition("#")
    if not path or "://" in target or target.startswith("mailto:"):
        return found[0]
    aimed = ((ROOT / here).parent / path).resolve()
    if not aimed.is_relative_to(ROOT):
        return text
    name = aimed.relative_to(ROOT).as_posix()
    place = MOVED.get(name) or (name.removeprefix("docs/") if name.startswith(("docs/", "benchmarks/results/")) else "")
    if not place or not aimed.is_file() or place.startswith(("examples/", "cards/")):
        return text if image or f"`{path}`" in text else f"{text} (`{name}`)"
    up = "../" * page.file.src_uri.count("/")
    return f"{image}[{text}]({up}{place}{hash_}{anchor})"


def _commands() -> str:
    os.environ["COLUMNS"] = _COLUMNS
    lines = ["# Commands and settings", "", "What `addnet COMMAND --help` prints, with the comments of YAML files.", ""]
    for group, names in GROUPS.items():
        lines += [f"## {group}", ""]
        for name in names:
            lines += [f"### `{typed_as(name)}`", "", COMMANDS[name].purpose, ""]
            text = help_text(name).removeprefix(COMMANDS[name].purpose) if COMMANDS[name].config else examples(name)
            lines += ["```text", text.strip("\n"), "```", ""]
    return "\n".join(lines)


def _python() -> str:
    lines = ["# Python", "", "How they work together: [From Python](../python.md).", ""]
    for group, names in PYTHON.items():
        lines += [f"## {group}", "", *(f"::: {name}\n" for name in names)]
    return "\n".join(lines)
