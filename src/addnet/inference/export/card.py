"""The model card beside exported weights: what they are, what for, where they fail, under which terms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from addnet.data.entries import entry_told
from addnet.errors import UserError
from addnet.untrusted.texts import in_markdown, in_markdown_code, shown

_TAGS = ("deepfake-detection", "image-classification", "face-forgery", "addnet")
_NOT_TOLD = ("name", "pretrained", "weights")  # of the options: they are those of a network that is loaded
_USE = """## Use

The folder has no code, and none is run from it:

```python
from addnet.inference import Detector
from addnet.inference.export import load_exported

answer = Detector.from_exported({folder}).predict("face.jpg")  # finds the face, prepares it, says what it says

net, about = load_exported({folder})  # or the network alone
logits = net(image, mask)  # (B, {channels}, {size}, {size}) in [-1, 1] and (B, 1, {size}, {size}) in [0, 1]
```

`config.json` says under `preprocessing` how an image becomes `image` and `mask` (ones where no face is found);
`addnet.faces` does it, without PyTorch.
"""
_REST = """## Intended use

Research on deepfake detection; support for a forensic examiner who knows the limits below and has other evidence. Not
intended to decide alone about a person, an image's publication or its removal.

## Limits

- A detector knows the manipulations and the compression it was trained on. On other data sets it loses much of its
  accuracy; measure it on your own material before relying on a score.
- Faces that the landmarker does not find are scored with a mask of ones. It misses profiles, small, dark and
  occluded faces, and does so unequally across groups of people.
- A score is no probability in the wild: the share of fakes in the training data is built into it.
- Wholly generated faces (no swap) are out of view unless the training data had them.

## Licences

| part | terms |
|---|---|
{licences}

## Citation

{citation}"""
_METHOD = """\
The method is of Zi, Chang, Chen, Ma and Jiang; the bandpass layer is an extension by the authors of addnet.

```bibtex
@inproceedings{zi2020wilddeepfake,
  title = {WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection},
  author = {Zi, Bojia and Chang, Minghao and Chen, Jingjing and Ma, Xingjun and Jiang, Yu-Gang},
  booktitle = {Proceedings of the 28th ACM International Conference on Multimedia},
  year = {2020},
  eprint = {2101.01456},
  archivePrefix = {arXiv}
}
```
"""


def model_card(
    about: Mapping[str, Any], *, licence: str, folder: str = "FOLDER", preface: str = "", measured: str = ""
) -> str:
    """Writes the card, in the form that model hubs read: YAML in front, then Markdown.

    Args:
        about: From `describe`.
        licence: Of the weights, as model hubs spell it, such as `other` or `cc-by-nc-4.0`.
        folder: What the folder is called in the example.
        preface: Markdown by its author, that stands below the title as it is.
        measured: Markdown on its error rates.

    Raises:
        UserError: `licence` is no such name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence):
        raise UserError(f"license={licence!r} is no name that model hubs know; use other, apache-2.0, cc-by-nc-4.0 …")
    size, channels = about["preprocessing"]["image_size"], about["inputs"]["image"]["shape"][1]
    licences = "\n".join(f"| {in_markdown(part)} | {in_markdown(terms)} |" for part, terms in about["licences"].items())
    return "\n".join(
        [
            _front(licence),
            f"# {_called(about)}: a deepfake detector\n",
            *([f"{preface.strip()}\n"] if preface else []),
            _table(about),
            _metrics(about),
            *([measured] if measured else []),
            _USE.format(folder=json.dumps(shown(folder)), size=int(size), channels=int(channels)),
            _REST.format(licences=licences, citation=_citation(about)),
        ]
    )


def _called(about: Mapping[str, Any]) -> str:
    """The network in a few words: its name, its backbone and what stands in front of it."""
    if adopted := about.get("adopted"):
        return f"{in_markdown(adopted.get('called'))}, adopted by addnet"
    network = about.get("network") or {}
    on = f" on {in_markdown(network['backbone'])}" if "backbone" in network else ""
    behind = " behind a learnable bandpass layer" if network.get("bandpass") else ""
    return f"{in_markdown(about['model']['name']) if not on else 'ADDNet'}{on}{behind}"


def _citation(about: Mapping[str, Any]) -> str:
    """Whose work it is: that of the method, or of who published what was adopted."""
    adopted = about.get("adopted")
    return f"{in_markdown(adopted.get('cite'))}: {in_markdown(adopted.get('source'))}\n" if adopted else _METHOD


def _front(licence: str) -> str:
    lines = ["---", f"license: {licence}"]
    lines += ["license_name: terms-of-the-training-data"] if licence == "other" else []
    lines += ["library_name: addnet", "pipeline_tag: image-classification", "tags:", *(f"- {tag}" for tag in _TAGS)]
    return "\n".join([*lines, "---\n"])


def _table(about: Mapping[str, Any]) -> str:
    """What it is, a line each."""
    source, model, size = about["source"], about["model"], int(about["preprocessing"]["image_size"])
    trained = source["epoch"] is not None  # what was adopted doesn't say how long
    steps = f", epoch {in_markdown(source['epoch'])}, step {in_markdown(source['global_step'])}" if trained else ""
    origin = f"{in_markdown_code(source['file'])}{steps}, sha256 {in_markdown_code(source['sha256'])}"
    options = [f"{name}={_plain(value)}" for name, value in model.items() if name not in _NOT_TOLD]
    called = ", ".join(map(in_markdown_code, options))
    network = about.get("network") or {}
    rows = {
        "Task": "one face crop → probability that the face was swapped or re-enacted",
        "Network": f"{in_markdown_code(about['architectures'][0])}: {called}",
    }
    if network:
        sites = ", ".join(map(in_markdown_code, network["sites"]))
        rows["Backbone"] = f"{in_markdown_code(network['backbone'])} of timm {in_markdown(network['timm'])}"
        combined = f"{in_markdown_code(model.get('combine', 'multiply'))} at {sites}"
        rows["Attention"] = combined if sites else "none: the mask is not looked at"
        rows["Start weights"] = in_markdown(network["start"])
        rows["Trained"] = f"{in_markdown_code('tune=' + str(network['tune']))}, merged into the weights"
    rows |= {
        "Input": f"aligned face, {size} × {size}, in [-1, 1], and an attention mask in [0, 1] drawn from 68 landmarks",
        "Output": f"logits of {' and '.join(map(in_markdown, about['class_names']))}",
        "Training data": in_markdown(_training_data(about)),
        **({"Adopted": in_markdown(adopted_from(adopted))} if (adopted := about.get("adopted")) else {}),
        "Source": origin,
        "Written by": f"addnet {in_markdown(about['version'])}",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items()), ""])


def adopted_from(adopted: Mapping[str, Any]) -> str:
    """Whose detector it is, in words: of the file that it was adopted from, and under which terms."""
    digest = str(adopted.get("sha256"))[:12]
    return (
        f"{adopted.get('called')} of {adopted.get('source')}, adopted from {adopted.get('file')} (sha256 {digest}…); "
        f"its terms: {adopted.get('terms')}"
    )


def _training_data(about: Mapping[str, Any]) -> str:
    adopted = about.get("adopted")
    return f"{adopted.get('trained_on')}, as its authors say" if adopted else trained_on(about["config"])


def trained_on(config: Mapping[str, Any]) -> str:
    """The training data as its config names it.

    Example:
        >>> trained_on({"data": {"layout": "celebdf", "data_dir": "Celeb-DF-v2", "train": None}})
        'celebdf: Celeb-DF-v2'
    """
    data = config.get("data") or {}
    named = data.get("train") or ([f"{data['layout']}: {data['data_dir']}"] if data.get("data_dir") else [])
    if isinstance(named, str):
        named = [named]
    return "; ".join(map(entry_told, named)) or "not named in the checkpoint"


def _metrics(about: Mapping[str, Any]) -> str:
    """Thresholds and temperatures that validation gave, and on how much."""
    rows = []
    for level, values in (about.get("decision") or {}).items():
        told = {key: _told(value) for key, value in values.items() if value is not None}
        rows += [f"| {in_markdown(level)} | {in_markdown(key)} | {value} |" for key, value in told.items()]
    if not rows:
        return "No metrics of validation are in the checkpoint; the threshold is 0.5.\n"
    head = ["## Decision", "", "What validation gave. A score is called fake above the threshold.", ""]
    return "\n".join([*head, "| level | what | value |", "|---|---|---:|", *rows, ""])


def _told(value: Any) -> str:
    """A number, the two ends of a range, or words."""
    if isinstance(value, (list, tuple)):
        return " to ".join(map(_told, value))
    return f"{value:.4g}" if isinstance(value, (int, float)) else in_markdown(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
