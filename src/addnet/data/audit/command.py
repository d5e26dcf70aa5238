"""`addnet data audit data=<name> data.data_dir=…`: a data set examined before training."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hydra.errors import InstantiationException
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from addnet.config import check_values, plain
from addnet.console import say
from addnet.data.audit.blends import Blending
from addnet.data.audit.examine import Audit, Settings, audit
from addnet.data.audit.issues import ERROR, WARNING, count_by_severity
from addnet.data.audit.report import write_report
from addnet.data.audit.scan import ImageReader, Read
from addnet.data.fakes import GIVEN, blended_splits
from addnet.data.groups import told_apart, united_groups
from addnet.data.named import ChosenSources, configured
from addnet.data.selection import select
from addnet.data.sources import INDEX, Source
from addnet.errors import UserError
from addnet.faces.geometry import Geometry
from addnet.index.records import FAKE, Records
from addnet.untrusted.texts import in_markup, shown
from addnet.wording import count

CLEAN, FOUND, USAGE, INTERRUPTED = 0, 1, 2, 130
_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def main(cfg: DictConfig) -> int:
    """Audits the data set of a config.

    Args:
        cfg: With the nodes `data` and `audit`, as `configs/audit.yaml` composes them.

    Returns:
        0 without errors, 1 with errors (or, with `audit.strict=true`, warnings), 2 if it could not be done, 130
        after Ctrl-C.
    """
    console = Console(stderr=True)
    try:
        settings = plain(cfg.audit)
        strict, out = settings.pop("strict"), settings.pop("out")
        data = listed(cfg.data)
        folder = Path(out or Path(cfg.paths.output_root, "audit", data.name))
        found = _audited(data, _settings(cfg, settings), blending(cfg.data), console)
        report = write_report(found, folder, data.read, name=data.name)
    except UserError as error:
        say(f"addnet.data audit: {error}")
        return USAGE
    except OSError as error:
        say(f"addnet.data audit: {shown(error.filename)}: {error.strerror or error}")
        return USAGE
    except KeyboardInterrupt:
        say("interrupted; nothing was written")
        return INTERRUPTED
    _summarise(found, report)
    counts = count_by_severity(found.issues)
    return FOUND if counts[ERROR] or (strict and counts[WARNING]) else CLEAN


class AuditInput(NamedTuple):
    """What is audited.

    Attributes:
        records: The images.
        carved: The same, those that training would carve out for validation called `val`.
        read: How they are read.
        name: What the data set is called.
        guessed: What of videos and groups was guessed and may be wrong.
    """

    records: Records
    carved: Records
    read: Read
    name: str
    guessed: list[str]


def listed(data: DictConfig) -> AuditInput:
    """The images of a `data` node.

    Raises:
        UserError: No data folder is named, or the layout does not find in it what it needs.
    """
    if data.data_dir and data.get("generate"):
        hydra.utils.instantiate(data.generate)(Path(data.data_dir))
    settings = plain(data)
    chosen = configured(settings)
    whole = {source: source.records() for source in chosen.sources}
    names = [Path(source.named).resolve().stem for source in whole]
    guessed = [doubt for source in whole if source.layout != INDEX for doubt in source.found.doubts]
    parts = [told_apart(part) for part in whole.values()] if len(whole) > 1 else list(whole.values())
    records = united_groups([Records.concat(parts)])[0]
    carved = _carved(records, chosen, whole, settings)
    made = np.isin(carved.numbers("split"), [carved.names("split").index(name) for name in _made(settings, carved)])
    if (unused := made & (carved.labels == FAKE)).any():  # training makes its own
        records, carved = records.take(~unused), carved.take(~unused)
    return AuditInput(records, carved, ImageReader(next(iter(whole)).storage), "+".join(names), guessed)


def _made(data: Mapping[str, Any], records: Records) -> list[str]:
    """Splits whose fakes are made of their real images alone."""
    return sorted(blended_splits(data["fakes"], data["val_fakes"]) & set(records.names("split")))


def blending(data: DictConfig) -> Blending | None:
    """How the training of a `data` node would make fakes; None if it would not.

    Raises:
        UserError: A value of `data.blend` isn't valid.
    """
    splits = [split for split, key in (("train", "fakes"), ("val", "val_fakes")) if data[key] != GIVEN]
    if not splits:
        return None
    geometry = Geometry(size=data.image_size, align=data.align, crop=data.crop, margin=data.margin)
    check_values(data.blend)
    try:  # not `build`, which imports torch
        recipe = hydra.utils.instantiate(data.blend)
        return Blending(recipe, geometry, splits, donors=recipe.donors)
    except InstantiationException as error:
        raise UserError(f"{error.__cause__ or error}") from error


def _carved(
    records: Records, chosen: ChosenSources, whole: Mapping[Source, Records], data: Mapping[str, Any]
) -> Records:
    """Records of which those that the training of this config would validate and test with are called so."""
    if "train" not in records.names("split"):
        return records
    how: dict[str, Any] = {key: data[key] for key in ("val_fraction", "test_fraction", "seed")}
    how["blended"] = blended_splits(data["fakes"], data["val_fakes"])
    nothing = dict.fromkeys(("train", "val", "test"))
    try:
        train, val, test = chosen
        used = select(train, test, val=val, allow_overlap=True, limits=nothing, records_of=whole.__getitem__, **how)
    except UserError as error:
        say(f"training would refuse these data, so that no validation is looked at: {error}")
        return records
    splits = records.table["split"].cast(pa.string())
    for name in ("val", "test"):
        splits = pc.if_else(pc.is_in(_keys(records), value_set=_keys(used[name])), name, splits)
    column = splits.combine_chunks().dictionary_encode()
    table = records.table
    return Records(table.set_column(table.schema.get_field_index("split"), "split", column))


def _keys(records: Records) -> pa.Array:
    """(N,) what tells each image from all others."""
    columns = [records.table[name].cast(pa.large_string()) for name in ("root", "path")]
    return pc.binary_join_element_wise(*columns, pa.scalar("\0", pa.large_string())).combine_chunks()


def _settings(cfg: DictConfig, settings: dict[str, Any]) -> Settings:
    data = cfg.data
    shared = {"landmark_model": data.landmark_model, "face_crops": data.face_crops, "seed": cfg.seed}
    known = {field.name for field in fields(Settings)}
    return Settings(**{name: value for name, value in {**shared, **settings}.items() if name in known})


def _audited(data: AuditInput, settings: Settings, blends: Blending | None, console: Console) -> Audit:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as progress:

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.advance(tasks[what], done)

        more: dict[str, Any] = {"carved": data.carved, "guessed": data.guessed, "blending": blends}
        return audit(data.records, data.read, settings, **more, advance=advance)


def _summarise(found: Audit, report: Path) -> None:
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
    table = Table(title=f"audit of {count(len(found.records), 'image')}", show_lines=True)
    for column in ("severity", "finding", "example"):
        table.add_column(column)
    for issue in found.issues:
        first = issue.examples[0] if issue.examples else ""
        colour = _COLOURS[issue.severity]
        table.add_row(f"[{colour}]{issue.severity}[/]", in_markup(issue.text), in_markup(first))
    if found.issues:
        console.print(table)
    counts = ", ".join(f"{severity}: {number}" for severity, number in count_by_severity(found.issues).items())
    console.print(f"{counts}; report: {in_markup(report)}", soft_wrap=True)
