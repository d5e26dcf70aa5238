"""The commands: what each is for, how it is typed, and the config it reads. What `addnet` and `--help` say."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

BEST = "outputs/train/TIME/checkpoints/best.ckpt"


@dataclass(frozen=True)
class CommandInfo:
    """A command in words.

    Attributes:
        purpose: One sentence.
        examples: Arguments, and what they do.
        config: The file in `configs/` that it reads; empty where it reads none.
        shown: Parts of that config that matter to it; empty: all.
        sweeps: Whether `-m` runs it once for each of several values.
        hydra: Whether Hydra runs it, with flags of its own such as `--cfg job`.
        words: What its arguments are.
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
        "Trains a detector, tests its best checkpoint and leaves a run folder.",
        (
            ("experiment=demo", "draws its own data: shows that everything works"),
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/"),
            ("data.data_dir=faces model=bandpass optimizer.lr=3e-5", "another network, another rate"),
            ("data.data_dir=faces ckpt_path=outputs/train/TIME/checkpoints/last.ckpt", "resumes"),
            ("-m data.data_dir=faces model=bandpass model.kernel_size=15,31,63", "a sweep"),
        ),
        config="train",
        hydra=True,
        sweeps=True,
    ),
    "prepare": CommandInfo(
        "Finds faces and landmarks in images or videos, once, and writes the index to train from.",
        (
            ("data=celebdf data.data_dir=/data/Celeb-DF-v2", "a data set as its authors ship it"),
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/, images or videos"),
            ("input=clips/", "without labels"),
        ),
        config="prepare",
        hydra=True,
    ),
    "evaluate": CommandInfo(
        "Measures how well checkpoints detect, with intervals, and writes a report.",
        (
            (
                f"ckpt={BEST} data.data_dir=faces",
                "on faces/test/; without data it says what the checkpoint was tested on",
            ),
            (f"ckpt={BEST} data=celebdf data.data_dir=/data/Celeb-DF-v2", "on other data"),
            ("'ckpt=[lite,a.ckpt]' data.data_dir=faces robustness=ladder", "two compared, also on degraded images"),
        ),
        config="evaluate",
        hydra=True,
    ),
    "predict": CommandInfo(
        "Says of images and videos whether they are fake, and why.",
        (
            ("face.jpg clip.mp4 images/", "files and folders, asked of the detector that comes with addnet"),
            (f"ckpt={BEST} images/ explain=true", "of your own, with a sheet of reasons for each face"),
            (f"ckpt={BEST} truth=real originals/", "how often originals are called fake"),
            ("clip.mp4 case=cases/one", "with a record of the case, as JSON and as a report to print"),
        ),
        config="predict",
        hydra=True,
        words="[ckpt=CHECKPOINT] FILE ... [KEY=VALUE] ... [--quiet]",
    ),
    "case verify": CommandInfo(
        "Checks the record of a case: hashes of all files, and every score by computing it once more.",
        (
            ("cases/one", "what predict case=cases/one wrote"),
            ("cases/one root=/media/copy", "its files lie elsewhere now, under whatever names"),
        ),
        config="case",
        words="FOLDER [root=FOLDER] [KEY=VALUE] ...",
    ),
    "export": CommandInfo(
        "Writes a checkpoint as ONNX, as a .pt2 file of torch.export, or as a folder with safetensors.",
        (
            (f"ckpt={BEST} output=detector.onnx", "for any runtime of ONNX"),
            (f"ckpt={BEST} format=safetensors output=detector", "a folder as model hubs have them"),
        ),
        config="export",
        hydra=True,
    ),
    "adopt": CommandInfo(
        "Turns the weights of a detector that others published into a checkpoint of this program.",
        (
            ("gend model.safetensors output=gend.ckpt", "GenD on CLIP ViT-L/14, MIT"),
            ("deepfakebench best.pth output=deepfakebench.ckpt", "DeepfakeBench's baseline, CC BY-NC 4.0"),
        ),
        config="adopt",
        hydra=True,
        words="gend|deepfakebench FILE [KEY=VALUE] ...",
    ),
    "release": CommandInfo(
        "Makes the folder of a detector that is given away: weights, description, and a card of what was measured.",
        (
            (
                f"ckpt={BEST} output=outputs/mine data.data_dir=faces",
                "measured on faces/test/, also on degraded images",
            ),
            (
                f"ckpt={BEST} output=outputs/mine data.data_dir=faces 'real={{portraits: portraits/, clips: clips/}}'",
                "also how often files are called fake that are all real, as predict answers for them",
            ),
        ),
        config="release",
        hydra=True,
    ),
    "app": CommandInfo(
        "Serves a page in the browser that says what a detector says of a file, and why.",
        (
            ("", "the detector that comes with addnet, on this machine alone"),
            (f"ckpt={BEST} port=8000 open_browser=true", "on a port of your choice"),
        ),
        config="app",
        hydra=True,
    ),
    "serve": CommandInfo(
        "Answers over HTTP what predict answers: files in, JSON out, for other programs.",
        (
            ("", "the detector that comes with addnet, on this machine alone; /docs describes it"),
            (f"ckpt={BEST} port=9000 'token=${{oc.env:ADDNET_TOKEN}}'", "with a token out of the environment"),
        ),
        config="serve",
        hydra=True,
    ),
    "data check": CommandInfo(
        "Says what of a data set is there, what is missing and where it was expected.",
        (
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/"),
            ("data=faceforensics data.data_dir=/data/ff data.options.compression=c40", "as its authors ship it"),
        ),
        config="train",
        shown=("data", "prepare", "paths"),
    ),
    "data audit": CommandInfo(
        "Says what is wrong with a data set: leaks between splits, copies, hints that give the class away.",
        (
            ("data.data_dir=faces", "faces/{train,test}/{real,fake}/"),
            ("data=index data.index=outputs/faces/NAME/index.parquet audit.faces=true", "also the same people in both"),
        ),
        config="audit",
    ),
    "data explain-names": CommandInfo(
        "Shows which files of a folder are taken for one video and for one group, and what other patterns would find.",
        (
            ("faces", "faces/{train,test}/{real,fake}/"),
            ("faces 'data.group_pattern=\"([^/_]+)_\"'", "the same by a pattern, before training relies on it"),
        ),
        config="train",
        shown=("data.data_dir", "data.group_pattern", "data.video_pattern"),
        words="FOLDER [KEY=VALUE] ...",
    ),
    "study": CommandInfo(
        "Trains the cells of a study, in pieces, and keeps what they found in results/.",
        (
            ("size=tiny", "the whole way in minutes, on drawn faces"),
            ("size=small data_dir=faces n_jobs=2 minutes=120", "two hours of it; the same command goes on"),
            ("size=small data_dir=faces do=list", "what is done, and how long the rest takes"),
        ),
        config="study",
    ),
    "models": CommandInfo(
        "Builds a network, runs one step forward and back, and prints what each stage costs.",
        (
            ("model=bandpass", "with random weights"),
            ("model.placement=paper data.image_size=224", "attention where the authors drew it"),
        ),
        config="train",
        shown=("model", "data.image_size"),
    ),
    "faces": CommandInfo(
        "Shows the landmarks and masks of single images, and counts faces over folders.",
        (("face.jpg --out outputs/faces", "one sheet an image"), ("faces/train/real", "how many are found, and how")),
        words="IMAGE|FOLDER ... [--out DIR]",
    ),
    "filter": CommandInfo(
        "Filters an image in the frequency domain.",
        (("face.jpg --low 0.05 --high 0.25", "the band between two cut-offs, in cycles per pixel"),),
        words="IMAGE [--low F] [--high F]",
    ),
    "summarize": CommandInfo(
        "Writes tables and plots of sweeps again, or of several sweeps as one.",
        (
            ("outputs/train-sweep/TIME --metric test/video/auroc", "by another metric"),
            ("outputs/train-sweep/A outputs/train-sweep/B --out outputs/both", "two as one"),
        ),
        words="SWEEP_DIR ... [--metric NAME] [--out DIR]",
    ),
}


GROUPS = {
    "Ask a detector": ("predict", "app", "serve", "case verify"),
    "Make data ready": ("prepare", "data check", "data audit", "data explain-names", "faces", "filter"),
    "Train": ("train", "models", "study", "summarize"),
    "Measure and pass on": ("evaluate", "export", "release", "adopt"),
}
_COMMONEST = (
    ("predict face.jpg", "asks the detector that comes with it"),
    ("train data.data_dir=faces", "trains one of your own, on faces/{train,test}/{real,fake}/"),
    (f"evaluate ckpt={BEST} data.data_dir=faces", "says how well it detects"),
)


def typed_as(name: str) -> str:
    """How a command is started.

    Example:
        >>> typed_as("data check")
        'addnet data check'
    """
    return f"addnet {name}"


def overview() -> str:
    """All commands, in groups, a line each, below the three that are typed most."""
    width = max(map(len, COMMANDS))
    lines = ["addnet COMMAND ...    (the same as python -m addnet.COMMAND ...)", ""]
    for typed, does in _COMMONEST:
        lines += [f"  # {does}", f"  addnet {typed}"]
    for group, names in GROUPS.items():
        lines += ["", group, *(f"  {name:{width}}  {COMMANDS[name].purpose}" for name in names)]
    lines += ["", "addnet COMMAND --help: examples and settings. addnet --version: what is installed."]
    lines += ["addnet --completion bash|zsh|fish: what makes the Tab key complete commands and settings."]
    return "\n".join(lines) + "\n"


def opening(name: str) -> str:
    """The first lines of a command's help: what it is for, how it is typed, examples."""
    said = COMMANDS[name]
    usage = f"  {typed_as(name)} {'[-m] ' if said.sweeps else ''}{said.words}"
    return f"{said.purpose}\n\n{usage}\n\n{examples(name)}"


def examples(name: str) -> str:
    """The examples of a command, each below what it does."""
    lines = [f"  # {does}\n  {typed_as(name)} {typed}".rstrip() + "\n" for typed, does in COMMANDS[name].examples]
    return "Examples:\n" + "".join(lines)


def described(name: str) -> dict[str, Any]:
    """What an `argparse.ArgumentParser` says of a command that reads no config."""
    about = {"prog": typed_as(name), "description": COMMANDS[name].purpose, "epilog": examples(name)}
    return about | {"formatter_class": argparse.RawDescriptionHelpFormatter}
