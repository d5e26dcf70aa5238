"""The record of a case as one printable HTML page, without external files or scripts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from addnet.case.images import FileImages
from addnet.evaluation.rates import WRONG
from addnet.evaluation.report.page import rendered
from addnet.inference.background import measured_in_words
from addnet.untrusted.texts import shown
from addnet.wording import count

_TEMPLATE = "report.html.j2"
_COLUMNS = 3  # columns of the table of frames
_MOST = 150  # most frames in the table
_NOTHING = "–"


def page_of(record: Mapping[str, Any], images: Sequence[FileImages]) -> str:
    """Renders the page.

    Args:
        record: The record of the case.
        images: The images of each of its files, in order.
    """
    template = (resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8")
    files = [
        _file(number, file, shown_)
        for number, (file, shown_) in enumerate(zip(record["files"], images, strict=True), 1)
    ]
    detector = record["detector"]
    return rendered(
        template,
        case=record,
        files=files,
        words=[_without_rates(line, detector["measured"]) for line in detector["in_words"]],
        errors=list(_errors(detector["measured"])),
        validation=list(_validation(detector["validation"])),
        thresholds=list(_thresholds(detector["thresholds"])),
        made=list(_made(record)),
        unimaged=sum(not one.stills for one in images),
    )


def _file(number: int, file: Mapping[str, Any], images: FileImages) -> dict[str, Any]:
    answer = file["answer"]
    above = file.get("above_threshold") or {"threshold": None, "frames": [], "ranges": []}
    faces = answer["faces"]
    people = len({face["track"] for face in faces})
    return {
        "number": number,
        "name": shown(file["path"].rpartition("/")[2], most=120),
        "verdict": file["verdict"],
        "kind": answer["kind"],
        "score": _number(answer["score"]),
        "threshold": _number(answer["threshold"] if answer["score"] is not None else None),
        "probability": _number(answer["probability"]),
        "because": file["because"],
        "evidence": answer["evidence"],
        "changed": file["changed_while_examined"],
        "facts": list(_facts(file)),
        "container": list(_container(file["container"])),
        "dates": [*_dates(file)],
        "provenance": list(_provenance(file["provenance"])),
        "decoded": _decoded(answer),
        "notes": answer["notes"],
        "ranges": [_range(one, people=people) for one in above["ranges"]],
        "frame_threshold": _number(above["threshold"]),
        "above": len(above["frames"]),
        "scored": len(faces),
        "columns": _columns(faces[:_MOST], people=people) if len(faces) > 1 else [],
        "more": len(faces) - _MOST,
        "images": images,
        "organs": [[(name, f"{lost:+.2f}") for name, lost in one.organs] for one in images.explained],
    }


def _facts(file: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "path", file["path"]
    yield "SHA-256", file["sha256"] or f"none: {file['reason']}"
    if file["bytes"] is not None:
        yield "size", count(file["bytes"], "byte")


def _container(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "not_read" in container:
        yield "container", f"not read: {container['not_read']}"
        return
    size = f", {container['width']} × {container['height']} pixels, {container['mode']}" if "width" in container else ""
    yield "format", f"{container['format']}{size}{', progressive' if container.get('progressive') else ''}"
    if container.get("seconds"):
        rate = f", {container['bit_rate'] / 1000:,.0f} kbit/s" if container["bit_rate"] else ""
        yield "length", f"{container['seconds']:.2f} s by its header{rate}"
    for number, stream in enumerate(container.get("streams", ())):
        yield f"stream {number}", _stream(stream)
    if container.get("embedded"):
        yield "embedded", ", ".join(container["embedded"])
    yield from {**container.get("exif", {}), **container.get("tags", {})}.items()


def _stream(stream: Mapping[str, Any]) -> str:
    parts = [f"{stream['type']}, {stream['codec'] or 'no decoder'}"]
    if stream.get("width"):
        parts.append(f"{stream['width']} × {stream['height']} pixels, {stream['pixels']}")
    if stream.get("frame_rate"):
        parts.append(f"{stream['frame_rate']:.3f} frames per second")
    if stream.get("frames"):
        parts.append(f"{count(stream['frames'], 'frame')} by its header")
    if stream.get("sample_rate"):
        parts.append(f"{stream['sample_rate']:,} Hz, {count(stream['channels'], 'channel')}")
    return ", ".join(parts)


def _dates(file: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for date in file["container"].get("dates", ()):
        yield date["source"], date["text"]
    if file["modified"]:
        yield "last modified, by the file system", file["modified"]


def _provenance(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "signed provenance (C2PA)", provenance["told"]
    for name in ("signed_at", "made_with", "title"):
        if provenance.get(name):
            yield name.replace("_", " "), provenance[name]
    if provenance.get("problems"):
        yield "validation codes", ", ".join(provenance["problems"])


def _decoded(answer: Mapping[str, Any]) -> str:
    if answer["kind"] != "video":
        return f"{count(answer['people'], 'face')} found, {count(len(answer['faces']), 'face')} scored"
    frames = {face["frame"] for face in answer["faces"]}
    return (
        f"{count(answer['frames'], 'frame')} examined, {answer['frames_without_face']} of them without a face; "
        f"{count(answer['people'], 'person', 'people')} found{_others(answer)}; "
        f"{count(len(answer['faces']), 'face')} scored in {count(len(frames), 'frame')}"
    )


def _others(answer: Mapping[str, Any]) -> str:
    """Says how many people of a video were not scored; empty if all were."""
    others = answer["people"] - len({face["track"] for face in answer["faces"]})
    return f", {others} of them not scored" if others else ""


def _range(found: Mapping[str, Any], *, people: int) -> str:
    who = f"track {found['track']}: " if people > 1 else ""
    frames = count(found["frames"], "examined frame")
    timed = found["from_time"] is not None and found["to_time"] is not None
    if found["frames"] == 1:
        return f"{who}frame {found['from_frame']}" + (f", {found['from_time']:.2f} s" if timed else "")
    span = f"frames {found['from_frame']} to {found['to_frame']}"
    when = f", {found['from_time']:.2f} to {found['to_time']:.2f} s" if timed else ""
    return f"{who}{span}{when} ({frames})"


def _columns(faces: Sequence[Mapping[str, Any]], *, people: int) -> list[list[dict[str, str]]]:
    """Arranges faces down the columns of a table, returned as rows; the last column may be shorter."""
    tall = math.ceil(len(faces) / _COLUMNS)
    cells = [_face(number, face, people) for number, face in enumerate(faces, 1)]
    return [cells[row::tall] for row in range(tall)]


def _face(number: int, face: Mapping[str, Any], people: int) -> dict[str, str]:
    where = f"face {number}" if face["frame"] is None else str(face["frame"])
    time = "" if face["time"] is None else f"{face['time']:.2f} s"
    who = f"track {face['track']}" if people > 1 and face["track"] is not None else ""
    remark = ", ".join(part for part in (who, face.get("reason", "")) if part)
    return {"where": where, "time": time, "score": _number(face["score"]), "verdict": face["verdict"], "remark": remark}


def _without_rates(line: str, measured: Sequence[Any]) -> str:
    """Removes the error rates from a sentence about a detector, because the table below has them."""
    return line.replace(f"{measured_in_words({'measured': measured})} ", "") if measured else line


def _thresholds(thresholds: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for level, own in thresholds.items():
        yield level.replace("_", " "), own["stated"], own["probabilities"]


def _errors(measured: Sequence[Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yields the error rates measured when the detector was released, one row per data set."""
    for found in measured:
        try:
            yield str(found["name"]), str(found["level"]), [_rate(found["errors"].get(wrong)) for wrong in WRONG]
        except (AttributeError, KeyError, TypeError, ValueError):
            continue


def _rate(found: Mapping[str, Any] | None) -> str:
    if not found:
        return _NOTHING
    share, low, high = (100 * float(found[name]) for name in ("value", "low", "high"))
    return f"{share:.1f} % ({low:.1f} to {high:.1f}), {int(found['count']):,} of {int(found['of']):,}"


def _validation(validation: Any) -> Iterator[tuple[str, list[str]]]:
    """Yields the errors on the validation set on which the thresholds were chosen, one row per level."""
    for level, found in (validation if isinstance(validation, Mapping) else {}).items():
        try:
            pairs = [(found[wrong], found[wrong.partition("_")[0]]) for wrong in WRONG]
            yield str(level), [f"{int(wrong):,} of {int(of):,}" for wrong, of in pairs]
        except (AttributeError, KeyError, TypeError, ValueError):
            continue


def _made(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the rows of the table that says how a case was made."""
    versions, computed = record["versions"], record["computed_on"]
    yield "command", record["command"]
    yield "working folder", record["working_folder"]
    yield "started, finished (UTC)", f"{record['begun']}, {record['finished']}"
    yield (
        "computed on",
        f"{computed['device']} ({computed['name']}), {versions['platform']}, Python {versions['python']}",
    )
    if versions["git"]:
        yield "commit", f"{versions['git']['commit']}{', with uncommitted changes' if versions['git']['dirty'] else ''}"
    for file in record["detector"]["files"]:
        yield file["role"], f"{file['name']}, SHA-256 {file['sha256'] or 'none: ' + file['reason']}"
    packages = {name: version for name, version in versions["packages"].items() if version}
    yield "packages", ", ".join(f"{name} {version}" for name, version in packages.items())
    yield "FFmpeg", ", ".join(f"{name} {version}" for name, version in versions["ffmpeg"].items())
    yield "settings", ", ".join(_flat(record["settings"]))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={'null' if value is None else value}"


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.4f}"
