"""The commands: purpose, usage and config of each, as shown by `addnet` and `--help`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

BEST = "outputs/train/TIME/checkpoints/best.ckpt"


@dataclass(frozen=True)
class CommandInfo:
    """The description of a command.

    Attributes:
        purpose: One sentence.
        examples: Pairs of arguments and what they do.
        config: The file in `configs/` that it reads; empty if it reads none.
        shown: The parts of that config that concern it; empty: all.
        sweeps: Whether `-m` runs it once for each of several values.
        hydra: Whether Hydra runs it, with Hydra's own flags such as `--cfg job`.
        words: Its arguments, for the usage line.
    """

    purpose: str
    examples: tuple[tuple[str, str], ...]
    config: str = ""
    shown: tuple[str, ...] = ()
    sweeps: bool = False
    hydra: bool = False
    words: str = "[GROUP=FILE] [KEY=VALUE] ..."


COMMANDS = {
    "train": CommandInfo(
        "Trains a detector, tests its best checkpoint and writes a run folder.",
        (
            ("experiment=demo", "on generated data, to check that everything works"),
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/"),
            ("data.data_dir=faces model=bandpass optimizer.lr=3e-5", "another network and learning rate"),
            ("data.data_dir=faces ckpt_path=outputs/train/TIME/checkpoints/last.ckpt", "resumes"),
            ("-m data.data_dir=faces model=bandpass model.kernel_size=15,31,63", "a sweep"),
        ),
        config="train",
        hydra=True,
        sweeps=True,
    ),
    "prepare": CommandInfo(
        "Finds faces and landmarks in images or videos and writes the index used for training.",
        (
            ("data=celebdf data.data_dir=/data/Celeb-DF-v2", "a data set in its original layout"),
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/, images or videos"),
            ("input=clips/", "files without labels"),
        ),
        config="prepare",
        hydra=True,
    ),
    "evaluate": CommandInfo(
        "Evaluates checkpoints, with confidence intervals, and writes a report.",
        (
            (
                f"ckpt={BEST} data.data_dir=faces",
                "on faces/test/; without data it shows what the checkpoint was tested on",
            ),
            (f"ckpt={BEST} data=celebdf data.data_dir=/data/Celeb-DF-v2", "on other data"),
            ("'ckpt=[lite,a.ckpt]' data.data_dir=faces robustness=ladder", "compares two, also on degraded images"),
        ),
        config="evaluate",
        hydra=True,
    ),
    "predict": CommandInfo(
        "Classifies images and videos as real or fake, with explanations on request.",
        (
            ("face.jpg clip.mp4 images/", "files and folders, with the detector that comes with addnet"),
            (f"ckpt={BEST} images/ explain=true", "with your own detector and an explanation sheet for each face"),
            (f"ckpt={BEST} truth=real originals/", "measures how often originals are called fake"),
            ("clip.mp4 case=cases/one", "records the case as JSON and as a printable report"),
        ),
        config="predict",
        hydra=True,
        words="[ckpt=CHECKPOINT] FILE ... [KEY=VALUE] ... [--quiet]",
    ),
    "case verify": CommandInfo(
        "Verifies the record of a case: checks all hashes and computes every score again.",
        (
            ("cases/one", "the folder that predict case=cases/one wrote"),
            ("cases/one root=/media/copy", "with its files moved or renamed"),
        ),
        config="case",
        words="FOLDER [root=FOLDER] [KEY=VALUE] ...",
    ),
    "export": CommandInfo(
        "Exports a checkpoint as ONNX, as a .pt2 file of torch.export, or as a folder with safetensors.",
        (
            (f"ckpt={BEST} output=detector.onnx", "for any ONNX runtime"),
            (f"ckpt={BEST} format=safetensors output=detector", "a folder for a model hub"),
        ),
        config="export",
        hydra=True,
    ),
    "adopt": CommandInfo(
        "Converts the weights of a detector published by others to a checkpoint of this program.",
        (
            ("gend model.safetensors output=gend.ckpt", "GenD on CLIP ViT-L/14, MIT"),
            ("deepfakebench best.pth output=deepfakebench.ckpt", "DeepfakeBench's baseline, CC BY-NC 4.0"),
        ),
        config="adopt",
        hydra=True,
        words="gend|deepfakebench FILE [KEY=VALUE] ...",
    ),
    "release": CommandInfo(
        "Makes a folder to publish a detector: weights, description, and a model card with error rates.",
        (
            (
                f"ckpt={BEST} output=outputs/mine data.data_dir=faces",
                "evaluated on faces/test/, also on degraded images",
            ),
            (
                f"ckpt={BEST} output=outputs/mine data.data_dir=faces 'real={{portraits: portraits/, clips: clips/}}'",
                "also measures how often predict calls real files fake",
            ),
        ),
        config="release",
        hydra=True,
    ),
    "app": CommandInfo(
        "Serves a page in the browser on which files are classified, with explanations.",
        (
            ("", "the detector that comes with addnet, only on this machine"),
            (f"ckpt={BEST} port=8000 open_browser=true", "your own detector, on another port"),
        ),
        config="app",
        hydra=True,
    ),
    "serve": CommandInfo(
        "Serves predictions over HTTP for other programs: files in, JSON out.",
        (
            ("", "the detector that comes with addnet, only on this machine; /docs describes it"),
            (f"ckpt={BEST} port=9000 'token=${{oc.env:ADDNET_TOKEN}}'", "with a token from an environment variable"),
        ),
        config="serve",
        hydra=True,
    ),
    "data check": CommandInfo(
        "Lists which parts of a data set were found, and which are missing and where they were expected.",
        (
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/"),
            ("data=faceforensics data.data_dir=/data/ff data.options.compression=c40", "in its original layout"),
        ),
        config="train",
        shown=("data", "prepare", "paths"),
    ),
    "data audit": CommandInfo(
        "Audits a data set: leaks between splits, duplicates, properties that give the class away.",
        (
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/"),
            (
                "data=index data.index=outputs/faces/NAME/index.parquet audit.faces=true",
                "also the same people in several splits",
            ),
        ),
        config="audit",
    ),
    "data explain-names": CommandInfo(
        "Shows which files of a folder count as one video or one group, and what other patterns would yield.",
        (
            ("faces", "faces/{train,test}/{real,fake}/"),
            ("faces 'data.group_pattern=\"([^/_]+)_\"'", "the same with a pattern, to check it before training"),
        ),
        config="train",
        shown=("data.data_dir", "data.group_pattern", "data.video_pattern"),
        words="FOLDER [KEY=VALUE] ...",
    ),
    "study": CommandInfo(
        "Trains the cells of a study, with interruptions if necessary, and keeps their results in results/.",
        (
            ("size=tiny", "a complete study in minutes, on generated faces"),
            ("size=small data_dir=faces n_jobs=2 minutes=120", "two hours of it; the same command continues"),
            ("size=small data_dir=faces do=list", "lists finished cells, and the time that the rest will take"),
        ),
        config="study",
    ),
    "models": CommandInfo(
        "Builds a network, runs one forward and one backward pass, and prints the cost of each stage.",
        (
            ("model=bandpass", "with random weights"),
            ("model.placement=paper data.image_size=224", "attention at the position in the authors' figure"),
        ),
        config="train",
        shown=("model", "data.image_size"),
    ),
    "faces": CommandInfo(
        "Shows the landmarks and masks of single images, and counts faces in folders.",
        (
            ("face.jpg --out outputs/faces", "one sheet per image"),
            ("faces/train/real", "how many faces are found, and how"),
        ),
        words="IMAGE|FOLDER ... [--out DIR]",
    ),
    "filter": CommandInfo(
        "Filters an image in the frequency domain.",
        (("face.jpg --low 0.05 --high 0.25", "keeps the band between two cut-offs, in cycles per pixel"),),
        words="IMAGE [--low F] [--high F]",
    ),
    "summarize": CommandInfo(
        "Writes the tables and plots of a sweep again, or of several sweeps together.",
        (
            ("outputs/train-sweep/TIME --metric test/video/auroc", "with another metric"),
            ("outputs/train-sweep/A outputs/train-sweep/B --out outputs/both", "two sweeps together"),
        ),
        words="SWEEP_DIR ... [--metric NAME] [--out DIR]",
    ),
}


GROUPS = {
    "Use a detector": ("predict", "app", "serve", "case verify"),
    "Prepare data": ("prepare", "data check", "data audit", "data explain-names", "faces", "filter"),
    "Train": ("train", "models", "study", "summarize"),
    "Evaluate and publish": ("evaluate", "export", "release", "adopt"),
}
_COMMONEST = (
    ("predict face.jpg", "classifies a file with the detector that comes with addnet"),
    ("train data.data_dir=faces", "trains your own detector on faces/{train,test}/{real,fake}/"),
    (f"evaluate ckpt={BEST} data.data_dir=faces", "evaluates it"),
)


def typed_as(name: str) -> str:
    """Returns how a command is typed.

    Example:
        >>> typed_as("data check")
        'addnet data check'
    """
    return f"addnet {name}"


def overview() -> str:
    """Lists all commands in groups, one line each, after the three most common ones."""
    width = max(map(len, COMMANDS))
    lines = ["addnet COMMAND ...    (the same as python -m addnet.COMMAND ...)", ""]
    for typed, does in _COMMONEST:
        lines += [f"  # {does}", f"  addnet {typed}"]
    for group, names in GROUPS.items():
        lines += ["", group, *(f"  {name:{width}}  {COMMANDS[name].purpose}" for name in names)]
    lines += ["", "addnet COMMAND --help: examples and settings. addnet --version: installed versions."]
    lines += ["addnet --completion bash|zsh|fish: a script for tab completion of commands and settings."]
    return "\n".join(lines) + "\n"


def opening(name: str) -> str:
    """Returns the first lines of a command's help: purpose, usage, examples."""
    info = COMMANDS[name]
    usage = f"  {typed_as(name)} {'[-m] ' if info.sweeps else ''}{info.words}"
    return f"{info.purpose}\n\n{usage}\n\n{examples(name)}"


def examples(name: str) -> str:
    """Returns the examples of a command, each below a comment with what it does."""
    lines = [f"  # {does}\n  {typed_as(name)} {typed}".rstrip() + "\n" for typed, does in COMMANDS[name].examples]
    return "Examples:\n" + "".join(lines)


def described(name: str) -> dict[str, Any]:
    """Returns arguments of `argparse.ArgumentParser` for a command that reads no config."""
    about = {"prog": typed_as(name), "description": COMMANDS[name].purpose, "epilog": examples(name)}
    return about | {"formatter_class": argparse.RawDescriptionHelpFormatter}
