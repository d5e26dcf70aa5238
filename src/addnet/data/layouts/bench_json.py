"""DeepfakeBench's descriptions of data sets: one JSON file each, read into videos with the paths of their frames.

    {data set: {label: {split: {[compression:] {video: {"label": label, "frames": [path, …]}}}}}}

The files are written by `preprocessing/rearrange.py`. Only FaceForensics++, FaceShifter and DeepFakeDetection have a
level for the compression. Paths are those of the machine that wrote the file, with backslashes if it ran Windows (the
loader of DF40, `abstract_dataset.py`, handles both). DF40 ships files in the same format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from addnet.data.layouts.names import FACEFORENSICS
from addnet.data.layouts.text_files import read_json, read_text
from addnet.errors import UserError
from addnet.index.records import FAKE, REAL

SPLITS = ("train", "val", "test")
_FORM = '{data set: {label: {"train": {video: {"label": …, "frames": […]}}}}}'
_FACEFORENSICS = {"FF-DF": "Deepfakes", "FF-F2F": "Face2Face", "FF-FS": "FaceSwap", "FF-NT": "NeuralTextures"}
_FACEFORENSICS |= {"FF-FH": "FaceShifter", "FF-SH": "FaceShifter", "FF-real": "youtube"}


@dataclass(frozen=True, slots=True)
class BenchVideo:
    """One video in a description.

    Attributes:
        dataset: Name of the data set.
        label: Its label, such as `FF-DF`.
        split: `train`, `val` or `test`.
        name: Name of the video.
        frames: Paths as written, with forward slashes.
        landmarks: Paths of landmarks in the same order; empty if the description has none.
    """

    dataset: str
    label: str
    split: str
    name: str
    frames: tuple[str, ...]
    landmarks: tuple[str, ...]


def read_description(file: Path, compression: str) -> Iterator[BenchVideo]:
    """The videos of a description, each in the chosen compression if there are several.

    Raises:
        UserError: The file is not JSON in the format of DeepfakeBench.
    """
    for dataset, labels in _mapping(_parsed(file), file).items():
        for label, splits in _mapping(labels, file).items():
            for split, videos in _mapping(splits, file).items():
                if split not in SPLITS:
                    raise UserError(f"{file}: unknown split {split!r}; expected {_FORM}")
                for name, video in _videos(_mapping(videos, file), compression):
                    frames, landmarks = (_slashed(video.get(key)) for key in ("frames", "landmarks"))
                    yield BenchVideo(dataset, str(video.get("label", label)), split, name, frames, landmarks)


def class_of(label: str, labels: Mapping[str, str]) -> int:
    """The class that a label stands for.

    Args:
        label: Such as `FF-DF`, `CelebDFv2_real` or `DFDCP_FakeA`.
        labels: `real` or `fake` for labels whose names don't show the class.

    Raises:
        UserError: The label is neither known nor in `labels`.
    """
    if given := labels.get(label):
        if given not in ("real", "fake"):
            raise UserError(f"data.options.labels.{label}={given!r}; choose real or fake")
        return FAKE if given == "fake" else REAL
    lower = label.lower()
    if lower.endswith("real"):
        return REAL
    if label in _FACEFORENSICS or lower.rpartition("_")[2].startswith("fake"):
        return FAKE
    raise UserError(
        f"cannot tell whether label {label!r} is real or fake; set 'data.options.labels={{{label}: fake}}' (or real)"
    )


def method_of(label: str) -> str:
    """The method by which a video was made, from its label.

    Example:
        >>> method_of("FF-DF"), method_of("simswap_Fake"), method_of("DFD_real")
        ('Deepfakes', 'simswap', 'DFD_real')
    """
    if label in _FACEFORENSICS:
        return _FACEFORENSICS[label]
    return label[: -len("_fake")] if label.lower().endswith("_fake") else label


def dataset_of(video: BenchVideo) -> str:
    """The data set of a video: FaceForensics++ for the four descriptions that share its originals."""
    return FACEFORENSICS if video.label in _FACEFORENSICS else video.dataset


def _videos(node: Mapping[str, Any], compression: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in node.items():
        if not isinstance(value, dict):
            continue  # rearrange.py puts the label and frames of one video directly under DFDC's val
        if "frames" in value:
            yield name, value
        elif name == compression:
            yield from (
                (video, entry) for video, entry in value.items() if isinstance(entry, dict) and "frames" in entry
            )


def _mapping(node: Any, file: Path) -> Mapping[str, Any]:
    if not isinstance(node, dict):
        raise UserError(f"{file} is not a description of DeepfakeBench: found {str(node)[:60]!r}; expected {_FORM}")
    return node


def _parsed(file: Path) -> Any:
    try:
        return read_json(read_text(file).text)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is not JSON: {error}") from error


def _slashed(paths: Any) -> tuple[str, ...]:
    return tuple(str(path).replace("\\", "/") for path in paths or ())
