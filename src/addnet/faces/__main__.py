"""`addnet faces IMAGE|FOLDER … [--out DIR]`: sheets of single images, counts over folders."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from addnet.commands import described
from addnet.config import load_group
from addnet.console import say
from addnet.errors import UserError
from addnet.faces.images import named_image
from addnet.faces.landmarks import STEPS, Landmarker
from addnet.faces.masks import AttentionMask
from addnet.faces.scan import ScanFinding, count_steps, outcome, scan
from addnet.faces.sheet import face_sheet, save_sheet
from addnet.faces.walk import walk
from addnet.progress import show_progress
from addnet.untrusted.texts import in_markup, shown
from addnet.wording import count


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = _parser().parse_args(argv)
    try:
        landmarker = Landmarker(options.landmark_model, face_crops=not options.scenes)
        mask = AttentionMask(**load_group("mask", options.mask))
        images = [path for path in options.inputs if not path.is_dir()]
        if images and options.out is None:
            raise UserError("--out DIR is required: the folder to write the sheets to")
        for path in images:
            _write_sheet(path, landmarker, mask, options.out)
        folders = {str(path): _examined(path, landmarker) for path in options.inputs if path.is_dir()}
    except UserError as error:
        say(f"addnet.faces: {error}")
        return 2
    if folders:
        _print_table(folders)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(**described("faces"))
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IMAGE|FOLDER")
    parser.add_argument("--out", type=Path, help="folder for the sheets of single images")
    parser.add_argument("--mask", default="default", help="a file of configs/mask (default: default)")
    scenes = "the images are not face crops: never treat a whole image as a face"
    parser.add_argument("--scenes", action="store_true", help=scenes)
    parser.add_argument("--landmark-model", help="a 68-point model file to use instead of the packaged one")
    return parser


def _write_sheet(path: Path, landmarker: Landmarker, mask: AttentionMask, out: Path) -> None:
    image = named_image(path)
    face = landmarker(image)
    sheet = save_sheet(face_sheet(image, face, mask), out / f"{path.stem}_sheet.png")
    sys.stdout.write(f"{shown(path.name)}: {face.step} → {shown(sheet)}\n")


def _examined(folder: Path, landmarker: Landmarker) -> list[ScanFinding]:
    contents = walk(folder)
    paths = [folder / name for name in contents.images]
    videos = [f"{count(len(contents.videos), 'video')}: see addnet prepare"] if contents.videos else []
    notes = contents.notes() + videos
    if not paths:
        raise UserError("; ".join([f"{folder} holds no images", *notes]))
    for note in notes:
        say(f"{shown(folder)}: {note}")
    findings = scan(paths, landmarker)
    return list(show_progress(findings, len(paths), outcome=outcome, title=f"faces in {folder.name}"))


def _print_table(folders: dict[str, list[ScanFinding]]) -> None:
    table = Table(title="faces by landmarker step")
    for column in ("folder", "images", *STEPS, "unusable", "by detector", "with landmarks", "usable mask"):
        table.add_column(column, justify="left" if column == "folder" else "right")
    for folder, findings in folders.items():
        counts = count_steps(findings)
        total, unusable = len(findings), counts.get("unusable", 0)
        detected = sum(counts.get(step, 0) for step in STEPS[:4])
        shares = (detected, detected + counts.get("whole_picture", 0), total - unusable)
        table.add_row(
            in_markup(Path(folder).name),
            str(total),
            *(str(counts.get(step, 0)) for step in STEPS),
            str(unusable),
            *(f"{share / total:.1%}" for share in shares),
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main())
