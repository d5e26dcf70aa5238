"""The model card of exported weights: what they are, their intended use, limits and terms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from addnet.data.entries import entry_told
from addnet.errors import UserError
from addnet.untrusted.texts import in_markdown, in_markdown_code, shown

_TAGS = ("deepfake-detection", "image-classification", "face-forgery", "addnet")
_HIDDEN = ("name", "pretrained", "weights")  # options that are not listed: they matter only before loading
_USE = """## Use

The folder contains no code:

```python
from addnet.inference import Detector
from addnet.inference.export import load_exported

answer = Detector.from_exported({folder}).predict("face.jpg")  # finds the face, prepares it, returns the answer

net, about = load_exported({folder})  # or the network alone
logits = net(image, mask)  # (B, {channels}, {size}, {size}) in [-1, 1] and (B, 1, {size}, {size}) in [0, 1]
```

`preprocessing` in `config.json` describes how an image becomes `image` and `mask` (ones if no face is found);
`addnet.faces` implements it, without PyTorch.
"""
_REST = """## Intended use

Research on deepfake detection; support for a forensic examiner who knows the limits below and has other evidence. It
is not intended to decide on its own about a person, or about publishing or removing an image.

## Limits

- A detector recognises the manipulations and the compression it was trained on. On other data sets it loses much of
  its accuracy; measure it on your own material before relying on a score.
- Faces that the landmarker does not find are scored with a mask of ones. It misses profiles and small, dark or
  occluded faces, more often for some groups of people than for others.
- A score is not the probability that an image in the wild is fake: it depends on the share of fakes in the training
  data.
- Fully generated faces (no swap) are not detected unless the training data contained them.

## Licences

| part | terms |
|---|---|
{licences}

## Citation

{citation}"""
_METHOD = """\
The method is by Zi, Chang, Chen, Ma and Jiang; the bandpass layer is an extension by the authors of addnet.

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
    """Returns the card in the form that model hubs read: YAML front matter, then Markdown.

    Args:
        about: From `describe`.
        licence: Licence of the weights, as model hubs spell it, such as `other` or `cc-by-nc-4.0`.
        folder: Name of the folder in the example.
        preface: Markdown by the author, inserted below the title unchanged.
        measured: Markdown on the error rates.

    Raises:
        UserError: `licence` is not a valid identifier.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence):
        raise UserError(
            f"license={licence!r} is not an identifier that model hubs use; use other, apache-2.0, cc-by-nc-4.0 …"
        )
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
    """Names the network: its name, its backbone and the layer in front of it."""
    if adopted := about.get("adopted"):
        return f"{in_markdown(adopted.get('called'))}, adopted by addnet"
    network = about.get("network") or {}
    on = f" on {in_markdown(network['backbone'])}" if "backbone" in network else ""
    behind = " behind a learnable bandpass layer" if network.get("bandpass") else ""
    return f"{in_markdown(about['model']['name']) if not on else 'ADDNet'}{on}{behind}"


def _citation(about: Mapping[str, Any]) -> str:
    """Returns the citation of the method, or of the publication that was adopted."""
    adopted = about.get("adopted")
    return f"{in_markdown(adopted.get('cite'))}: {in_markdown(adopted.get('source'))}\n" if adopted else _METHOD


def _front(licence: str) -> str:
    lines = ["---", f"license: {licence}"]
    lines += ["license_name: terms-of-the-training-data"] if licence == "other" else []
    lines += ["library_name: addnet", "pipeline_tag: image-classification", "tags:", *(f"- {tag}" for tag in _TAGS)]
    return "\n".join([*lines, "---\n"])


def _table(about: Mapping[str, Any]) -> str:
    """Returns the table of facts about the network, one row each."""
    source, model, size = about["source"], about["model"], int(about["preprocessing"]["image_size"])
    trained = source["epoch"] is not None  # unknown for adopted detectors
    steps = f", epoch {in_markdown(source['epoch'])}, step {in_markdown(source['global_step'])}" if trained else ""
    origin = f"{in_markdown_code(source['file'])}{steps}, sha256 {in_markdown_code(source['sha256'])}"
    options = [f"{name}={_plain(value)}" for name, value in model.items() if name not in _HIDDEN]
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
        rows["Attention"] = combined if sites else "none: the mask is not used"
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
    """Names the source of an adopted detector, the file it was adopted from, and its terms."""
    digest = str(adopted.get("sha256"))[:12]
    return (
        f"{adopted.get('called')} of {adopted.get('source')}, adopted from {adopted.get('file')} (sha256 {digest}…); "
        f"its terms: {adopted.get('terms')}"
    )


def _training_data(about: Mapping[str, Any]) -> str:
    adopted = about.get("adopted")
    return f"{adopted.get('trained_on')}, as its authors say" if adopted else trained_on(about["config"])


def trained_on(config: Mapping[str, Any]) -> str:
    """Names the training data as in the config.

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
    """Returns the table of thresholds and temperatures chosen on validation, and of its size."""
    rows = []
    for level, values in (about.get("decision") or {}).items():
        cells = {key: _cell(value) for key, value in values.items() if value is not None}
        rows += [f"| {in_markdown(level)} | {in_markdown(key)} | {value} |" for key, value in cells.items()]
    if not rows:
        return "The checkpoint has no metrics of validation; the threshold is 0.5.\n"
    head = ["## Decision", "", "Chosen on validation. A score above the threshold is called fake.", ""]
    return "\n".join([*head, "| level | setting | value |", "|---|---|---:|", *rows, ""])


def _cell(value: Any) -> str:
    """Formats a number, a range of two numbers, or a text."""
    if isinstance(value, (list, tuple)):
        return " to ".join(map(_cell, value))
    return f"{value:.4g}" if isinstance(value, (int, float)) else in_markdown(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
